"""The independent reference: an LSTM network written out in NumPy.

This is what diagrams are checked against, so it shares no code with them: it imports NumPy
alone, and it reads nothing from a network but the arrays of its layers.

For every recurrent layer, with ⁻ for the previous sample,

    i = σ(W_i u + R_i h⁻ + b_i)     f = σ(W_f u + R_f h⁻ + b_f)
    g = tanh(W_g u + R_g h⁻ + b_g)  o = σ(W_o u + R_o h⁻ + b_o)
    c = f ⊙ c⁻ + i ⊙ g              h = o ⊙ tanh(c)

and for a dense head y = F h + bias.  Rows of W, R and b are stacked in the order i, f, g, o.

References
----------
S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997;
F. Gers, J. Schmidhuber and F. Cummins, "Learning to forget", Neural Computation 12(10), 2000.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Signals = dict[str, npt.NDArray[Any]]

#: What the loop over the samples computes, in its order.
_STEPPED = ("i", "f", "g", "o", "c", "tanh_c", "h")


def _logistic(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # exp of a non-positive number only, so that nothing overflows for |x| of any size.
    decay = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1, decay) / (1 + decay))


def lstm_signals(
    W: npt.NDArray[Any],
    R: npt.NDArray[Any],
    b: npt.NDArray[Any],
    h0: npt.NDArray[Any],
    c0: npt.NDArray[Any],
    u: npt.NDArray[Any],
) -> Signals:
    """Return every signal of one LSTM layer.

    Parameters
    ----------
    W, R, b : ndarray of shape (4N, Ni), (4N, N), (4N,)
        Input weights, recurrent weights and biases, gates stacked i, f, g, o.
    h0, c0 : ndarray of shape (N,)
        Hidden and cell state before the first sample.
    u : ndarray of shape (..., T, Ni)
        The input; leading axes are a batch.

    Returns
    -------
    dict of ndarray of shape (..., T, N)
        By signal name: Wi … Wo, Ri … Ro, bi … bo, sum_i … sum_o, i, f, g, o, fc, ig, c,
        tanh_c, h, c_prev, h_prev.
    """
    units = R.shape[1]
    shape = (*u.shape[:-1], units)
    products = u @ W.T  # for all samples at once: only the recurrent part has to wait
    signals: Signals = {name: np.empty(shape, u.dtype) for name in (*_STEPPED, "c_prev", "h_prev")}
    recurrent = np.empty((*u.shape[:-1], 4 * units), u.dtype)

    h = np.broadcast_to(h0, (*u.shape[:-2], units)).astype(u.dtype)
    c = np.broadcast_to(c0, (*u.shape[:-2], units)).astype(u.dtype)
    for k in range(u.shape[-2]):
        signals["h_prev"][..., k, :], signals["c_prev"][..., k, :] = h, c
        recurrent[..., k, :] = h @ R.T
        sums = products[..., k, :] + recurrent[..., k, :] + b
        i = _logistic(sums[..., :units])
        f = _logistic(sums[..., units : 2 * units])
        g = np.tanh(sums[..., 2 * units : 3 * units])
        o = _logistic(sums[..., 3 * units :])
        c = f * c + i * g
        tanh_c = np.tanh(c)
        h = o * tanh_c
        for name, value in zip(_STEPPED, (i, f, g, o, c, tanh_c, h), strict=True):
            signals[name][..., k, :] = value

    signals["fc"] = signals["f"] * signals["c_prev"]
    signals["ig"] = signals["i"] * signals["g"]
    for row, gate in enumerate("ifgo"):
        rows = slice(row * units, (row + 1) * units)
        signals[f"W{gate}"] = products[..., rows]
        signals[f"R{gate}"] = recurrent[..., rows]
        signals[f"b{gate}"] = np.broadcast_to(b[rows], shape).copy()
        signals[f"sum_{gate}"] = signals[f"W{gate}"] + signals[f"R{gate}"] + signals[f"b{gate}"]
    return signals


#: By kind of layer, what computes its signals from its arrays and its input.
_SIGNALS: dict[str, Any] = {"LSTM": lstm_signals}


def network_signals(network: Any, u: npt.NDArray[Any], dtype: npt.DTypeLike) -> Signals:
    """Return every signal of a network: layers in series, with an optional dense head.

    Parameters
    ----------
    network : object
        Has `recurrent` (layers of the kinds in this file, whose `arrays` are given by name),
        their `prefixes`, and `head` (None, or F and bias).
    u : ndarray of shape (T, Ni) or (B, T, Ni)
        The input.
    dtype : numpy dtype
        Precision of the whole computation.

    Returns
    -------
    dict of ndarray
        By signal name, as `lstm_signals`; with several recurrent layers each name is prefixed
        with its layer's name and a dot.  Also u and y.
    """
    signal = np.asarray(u, dtype)
    signals: Signals = {"u": signal}
    for layer, prefix in zip(network.recurrent, network.prefixes, strict=False):
        arrays = {name: np.asarray(array, dtype) for name, array in layer.arrays().items()}
        inner = _SIGNALS[type(layer).__name__](**arrays, u=signal)
        signals |= {prefix + name: value for name, value in inner.items()}
        signal = inner["h"]
    if network.head is None:
        signals["y"] = signal
        return signals
    gain = signal @ np.asarray(network.head.F, dtype).T
    if network.head.bias is None:
        signals["y"] = gain
    else:
        bias = np.asarray(network.head.bias, dtype)
        signals["Fh"] = gain
        signals["by"] = np.broadcast_to(bias, gain.shape).copy()
        signals["y"] = gain + bias
    return signals
