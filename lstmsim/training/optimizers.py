"""Optimizers: one step on the flat vector of all trained parameters.

An optimizer is frozen settings; its memory between steps is plain arrays, so that a checkpoint
can hold them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from lstmsim.base import Array, number


@runtime_checkable
class Optimizer(Protocol):
    """An optimizer, as the training loop uses it.

    It is a frozen dataclass: its settings are its fields, and its repr, by which a checkpoint
    knows it again, shows all of them.
    """

    @property
    def memory(self) -> tuple[str, ...]:
        """Names of the arrays that are kept between steps; they begin as zeros."""

    def step(
        self, values: Array, gradient: Array, rate: float, count: int, memory: dict[str, Array]
    ) -> None:
        """Change `values`, and what is in `memory`, in place.

        Parameters
        ----------
        values, gradient : ndarray
            The parameters, and the loss's derivatives by them.
        rate : float
            The learning rate.
        count : int
            The number of this step, from 1.
        memory : dict of ndarray
            The arrays named by `memory`, and two arrays "a" and "b" to work in.
        """


@dataclass(frozen=True)
class Adam:
    """Adam: m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², θ ← θ − η·m̂/(√v̂ + ε).

    m̂ = m/(1−β₁ᵏ) and v̂ = v/(1−β₂ᵏ) at step k: the start at zero is corrected for.

    Parameters
    ----------
    beta1, beta2 : float, optional
        Decay of the averages of the gradient and of its square, in [0, 1).
    epsilon : float, optional
        Added to the root, > 0.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If a setting is not a number in its range.

    References
    ----------
    D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        number(self.beta1, "beta1", "Adam", least=0.0, below=1.0)
        number(self.beta2, "beta2", "Adam", least=0.0, below=1.0)
        number(self.epsilon, "epsilon", "Adam", above=0.0)

    @property
    def memory(self) -> tuple[str, ...]:
        """The running averages of the gradient and of its square."""
        return ("m", "v")

    def step(
        self, values: Array, gradient: Array, rate: float, count: int, memory: dict[str, Array]
    ) -> None:
        """Make one step, as `Optimizer.step`."""
        m, v, a, b = memory["m"], memory["v"], memory["a"], memory["b"]
        m *= self.beta1
        np.multiply(gradient, 1 - self.beta1, out=a)
        m += a
        v *= self.beta2
        np.multiply(gradient, gradient, out=a)
        a *= 1 - self.beta2
        v += a
        np.sqrt(v, out=b)
        b *= 1 / (1 - self.beta2**count) ** 0.5
        b += self.epsilon
        np.divide(m, b, out=a)
        a *= rate / (1 - self.beta1**count)
        values -= a


@dataclass(frozen=True)
class RMSProp:
    """RMSProp: v ← αv + (1−α)g², θ ← θ − η·g/(√v + ε).

    Parameters
    ----------
    decay : float, optional
        α, of the average of the squared gradient, in [0, 1).
    epsilon : float, optional
        Added to the root, > 0.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If a setting is not a number in its range.

    References
    ----------
    T. Tieleman and G. Hinton, "Lecture 6.5: rmsprop", Neural Networks for Machine Learning, 2012.
    """

    decay: float = 0.99
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        number(self.decay, "decay", "RMSProp", least=0.0, below=1.0)
        number(self.epsilon, "epsilon", "RMSProp", above=0.0)

    @property
    def memory(self) -> tuple[str, ...]:
        """The running average of the squared gradient."""
        return ("v",)

    def step(
        self, values: Array, gradient: Array, rate: float, count: int, memory: dict[str, Array]
    ) -> None:
        """Make one step, as `Optimizer.step`."""
        v, a, b = memory["v"], memory["a"], memory["b"]
        v *= self.decay
        np.multiply(gradient, gradient, out=a)
        a *= 1 - self.decay
        v += a
        np.sqrt(v, out=b)
        b += self.epsilon
        np.divide(gradient, b, out=a)
        a *= rate
        values -= a


@dataclass(frozen=True)
class SGD:
    """Gradient descent with momentum: v ← μv + g, θ ← θ − η·v.

    Parameters
    ----------
    momentum : float, optional
        μ, in [0, 1).

    Raises
    ------
    InvalidTypeError, InvalidValueError
        If the momentum is not a number in its range.

    References
    ----------
    B. T. Polyak, "Some methods of speeding up the convergence of iteration methods", USSR
    Computational Mathematics and Mathematical Physics 4(5), 1964.
    """

    momentum: float = 0.0

    def __post_init__(self) -> None:
        number(self.momentum, "momentum", "SGD", least=0.0, below=1.0)

    @property
    def memory(self) -> tuple[str, ...]:
        """The velocity."""
        return ("velocity",)

    def step(
        self, values: Array, gradient: Array, rate: float, count: int, memory: dict[str, Array]
    ) -> None:
        """Make one step, as `Optimizer.step`."""
        velocity, a = memory["velocity"], memory["a"]
        velocity *= self.momentum
        velocity += gradient
        np.multiply(velocity, rate, out=a)
        values -= a


#: The optimizers by the names that options and the command line have for them.
OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": Adam, "rmsprop": RMSProp, "sgd": SGD}
