"""Vectors for kernels: a numba type of many lanes, and what kernels do with it.

numba compiles loops over arrays with so many run-time alias checks that a kernel which logs
every signal is not vectorized at all.  A value type that is an LLVM vector is, predictably.

Mathematics is that of the Cephes library (S. Moshier, 1984-2000): `tanh` is an odd polynomial or
rational function below 0.625 and comes from `exp` above, the sigmoid is 1/(1 + e⁻ˣ).  Errors:
8e-8 absolute and 1.4e-7 relative in single precision, 2.4e-16 relative in double.  Instructions
carry the flags `contract` and `nsz` alone: `fastmath` would break `exp` and hide NaN.

This leans on numba's interfaces for extending it: `pyproject.toml` pins the range that it was
tested with, and `lstmsim.engine.kernels.cache` falls back to numbers where it cannot be imported.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from lstmsim.engine.kernels.vocabulary import words

_FLAGS = ("contract", "nsz")


def lanes(dtype: Any) -> int:
    """Return how many elements a vector of this machine has: 64, 32 or 16 bytes."""
    features = binding.get_host_cpu_features()
    size = 64 if features.get("avx512f") else 32 if features.get("avx") else 16
    return int(size // (dtype.bitwidth // 8))


class Vector(types.Type):
    """The numba type of a vector of numbers of one precision."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype})")


def _llvm(dtype: Any) -> Any:
    scalar = ir.FloatType() if dtype == types.float32 else ir.DoubleType()
    return ir.VectorType(scalar, lanes(dtype))


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _llvm(kind.dtype))


class _Build:
    """LLVM instructions on vectors of one type."""

    def __init__(self, builder: Any, kind: Any) -> None:
        self.builder, self.kind = builder, kind
        self.single = isinstance(kind.element, ir.FloatType)

    def constant(self, value: float) -> Any:
        return ir.Constant(self.kind, [value] * self.kind.count)

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.fadd(a, b, flags=_FLAGS)

    def sub(self, a: Any, b: Any) -> Any:
        return self.builder.fsub(a, b, flags=_FLAGS)

    def mul(self, a: Any, b: Any) -> Any:
        return self.builder.fmul(a, b, flags=_FLAGS)

    def div(self, a: Any, b: Any) -> Any:
        return self.builder.fdiv(a, b, flags=_FLAGS)

    def neg(self, a: Any) -> Any:
        return self.builder.fneg(a)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        return self.call("llvm.fma", a, b, c)

    def call(self, name: str, *arguments: Any) -> Any:
        """Call one of LLVM's own functions."""
        suffix = f"v{self.kind.count}{'f32' if self.single else 'f64'}"
        signature = ir.FunctionType(self.kind, [self.kind] * len(arguments))
        function = cgutils.get_or_insert_function(
            self.builder.module, signature, f"{name}.{suffix}"
        )
        return self.builder.call(function, list(arguments))

    def where(self, a: Any, comparison: str, b: Any, yes: Any, no: Any) -> Any:
        return self.builder.select(self.builder.fcmp_ordered(comparison, a, b), yes, no)

    def polynomial(self, x: Any, coefficients: tuple[float, ...]) -> Any:
        value = self.constant(coefficients[0])
        for coefficient in coefficients[1:]:
            value = self.fma(value, x, self.constant(coefficient))
        return value

    def pairwise(self, x: Any, coefficients: tuple[float, ...]) -> Any:
        """Return a polynomial in x² whose coefficients are linear: fewer steps one on another."""
        square = self.mul(x, x)
        pairs = zip(coefficients[::2], coefficients[1::2], strict=True)
        linear = [self.fma(x, self.constant(a), self.constant(b)) for a, b in pairs]
        value = linear[0]
        for pair in linear[1:]:
            value = self.fma(value, square, pair)
        return value

    def exp(self, x: Any) -> Any:
        # Above, it is infinite; below, the smallest normal number.  A NaN compares to nothing.
        low, high = (-87.0, 88.72283) if self.single else (-708.0, 709.782712893384)
        given, bound = x, self.constant(low)
        x = self.where(x, "<", bound, bound, x)
        # Adding this constant rounds to a whole number n, which is then in the lowest bits.
        magic = self.constant(12582912.0 if self.single else 6755399441055744.0)
        rounded = self.fma(x, self.constant(1.4426950408889634), magic)
        n = self.sub(rounded, magic)
        if self.single:
            r = self.fma(n, self.constant(-0.693359375), x)
            r = self.fma(n, self.constant(2.12194440e-4), r)
            p = self.pairwise(
                r,
                (
                    1.9875691500e-4,
                    1.3981999507e-3,
                    8.3334519073e-3,
                    4.1665795894e-2,
                    1.6666665459e-1,
                    5.0000001201e-1,
                ),
            )
            value = self.add(self.fma(p, self.mul(r, r), r), self.constant(1.0))
        else:
            r = self.fma(n, self.constant(-6.93145751953125e-1), x)
            r = self.fma(n, self.constant(-1.42860682030941723212e-6), r)
            z = self.mul(r, r)
            p = self.mul(
                r,
                self.polynomial(
                    z,
                    (1.26177193074810590878e-4, 3.02994407707441961300e-2, 0.999999999999999999910),
                ),
            )
            q = self.polynomial(
                z,
                (
                    3.00198505138664455042e-6,
                    2.52448340349684104192e-3,
                    2.27265548208155028766e-1,
                    2.0,
                ),
            )
            value = self.fma(self.div(p, self.sub(q, p)), self.constant(2.0), self.constant(1.0))
        # Times 2ⁿ, by adding n to the exponent's bits.
        bits, mantissa = (32, 23) if self.single else (64, 52)
        whole = ir.VectorType(ir.IntType(bits), self.kind.count)
        shift = ir.Constant(whole, [mantissa] * self.kind.count)
        exponent = self.builder.shl(self.builder.bitcast(rounded, whole), shift)
        total = self.builder.add(self.builder.bitcast(value, whole), exponent)
        found = self.builder.bitcast(total, self.kind)
        return self.where(given, ">", self.constant(high), self.constant(math.inf), found)

    def expm1(self, x: Any) -> Any:
        # eˣ - 1 = 2 t / (1 - t) with t = tanh(x/2), without cancellation up to x = 1.
        one, t = self.constant(1.0), self.tanh(self.mul(x, self.constant(0.5)))
        small = self.div(self.add(t, t), self.sub(one, t))
        return self.where(x, ">", one, self.sub(self.exp(x), one), small)

    def log1p(self, x: Any) -> Any:
        # With w = 1 + x rounded, log(1 + x) = log(w) + (x - (w - 1)) / w to first order.
        one = self.constant(1.0)
        w = self.add(x, one)
        lost = self.div(self.sub(x, self.sub(w, one)), w)
        found = self.add(self._log(w), lost)
        # At the ends the quotient is NaN; below -1 the logarithm is.
        found = self.where(w, "==", self.constant(0.0), self.constant(-math.inf), found)
        found = self.where(w, "<", self.constant(0.0), self.constant(math.nan), found)
        return self.where(x, "==", self.constant(math.inf), x, found)

    def _log(self, x: Any) -> Any:
        """Return the logarithm of positive, normal, finite numbers."""
        bits, mantissa, bias = (32, 23, 127) if self.single else (64, 52, 1023)
        whole = ir.VectorType(ir.IntType(bits), self.kind.count)

        def whole_number(value: int) -> Any:
            return ir.Constant(whole, [value] * self.kind.count)

        # x = m 2ⁿ with m from √½ to √2: what is added carries into the exponent above √2.
        builder, root = self.builder, 0x3504F3 if self.single else 0x6A09E667F3BCD
        raised = builder.add(builder.bitcast(x, whole), whole_number((1 << mantissa) - root))
        exponent = builder.sub(builder.lshr(raised, whole_number(mantissa)), whole_number(bias))
        fraction = builder.and_(raised, whole_number((1 << mantissa) - 1))
        m = builder.bitcast(
            builder.add(fraction, whole_number((bias << mantissa) - (1 << mantissa) + root)),
            self.kind,
        )
        n = builder.sitofp(exponent, self.kind)
        # log m = 2 artanh(s), s = (m - 1) / (m + 1), |s| < 0.172: its series.
        one = self.constant(1.0)
        s = self.div(self.sub(m, one), self.add(m, one))
        orders = range(9 if self.single else 21, 1, -2)
        series = self.polynomial(self.mul(s, s), tuple(2.0 / k for k in orders))
        series = self.fma(self.mul(series, self.mul(s, s)), s, self.add(s, s))
        high, low = (0.693359375, -2.12194440e-4)
        if not self.single:
            high, low = 6.93145751953125e-1, 1.42860682030941723212e-6
        return self.fma(n, self.constant(high), self.fma(n, self.constant(low), series))

    def tanh(self, x: Any) -> Any:
        size, z = self.call("llvm.fabs", x), self.mul(x, x)
        if self.single:
            ratio = self.polynomial(
                z,
                (
                    -5.70498872745e-3,
                    2.06390887954e-2,
                    -5.37397155531e-2,
                    1.33314422036e-1,
                    -3.33332819422e-1,
                ),
            )
        else:
            p = self.polynomial(
                z,
                (-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3),
            )
            q = self.polynomial(
                z,
                (
                    1.0,
                    1.12811678491632931402e2,
                    2.23548839060100448583e3,
                    4.84406305325125486048e3,
                ),
            )
            ratio = self.div(p, q)
        small = self.fma(self.mul(z, ratio), x, x)
        one, two = self.constant(1.0), self.constant(2.0)
        large = self.sub(one, self.div(two, self.add(self.exp(self.add(size, size)), one)))
        large = self.call("llvm.copysign", large, x)
        return self.where(size, "<", self.constant(0.625), small, large)


class _Value:
    """A vector in a formula: the table's texts are evaluated with these for their names."""

    def __init__(self, build: _Build, vector: Any) -> None:
        self.build, self.vector = build, vector

    def _of(self, other: Any) -> Any:
        return other.vector if isinstance(other, _Value) else self.build.constant(float(other))

    def _make(self, vector: Any) -> _Value:
        return _Value(self.build, vector)

    def __add__(self, other: Any) -> _Value:
        return self._make(self.build.add(self.vector, self._of(other)))

    __radd__ = __add__

    def __sub__(self, other: Any) -> _Value:
        return self._make(self.build.sub(self.vector, self._of(other)))

    def __rsub__(self, other: Any) -> _Value:
        return self._make(self.build.sub(self._of(other), self.vector))

    def __mul__(self, other: Any) -> _Value:
        return self._make(self.build.mul(self.vector, self._of(other)))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> _Value:
        return self._make(self.build.div(self.vector, self._of(other)))

    def __rtruediv__(self, other: Any) -> _Value:
        return self._make(self.build.div(self._of(other), self.vector))

    def __neg__(self) -> _Value:
        return self._make(self.build.neg(self.vector))

    def _compare(self, comparison: str, other: Any) -> _Value:
        found = self.build.builder.fcmp_ordered(comparison, self.vector, self._of(other))
        return self._make(found)

    def __gt__(self, other: Any) -> _Value:
        return self._compare(">", other)

    def __ge__(self, other: Any) -> _Value:
        return self._compare(">=", other)

    def __lt__(self, other: Any) -> _Value:
        return self._compare("<", other)

    def __le__(self, other: Any) -> _Value:
        return self._compare("<=", other)

    def __and__(self, other: Any) -> _Value:
        return self._make(self.build.builder.and_(self.vector, other.vector))


def _of_one(name: str) -> Callable[[_Value], _Value]:
    """Return a function of one vector, by its name in `_Build`."""
    return lambda x: x._make(getattr(x.build, name)(x.vector))


def _by_llvm(name: str) -> Callable[[_Value], _Value]:
    return lambda x: x._make(x.build.call(name, x.vector))


def _where(condition: _Value, a: Any, b: Any) -> _Value:
    chosen = condition.build.builder.select(condition.vector, condition._of(a), condition._of(b))
    return condition._make(chosen)


def _minimum(a: _Value, b: Any) -> _Value:
    other = a._of(b)
    return a._make(a.build.where(a.vector, ">", other, other, a.vector))


def _maximum(a: _Value, b: Any) -> _Value:
    other = a._of(b)
    return a._make(a.build.where(a.vector, "<", other, other, a.vector))


#: The functions of the operations' formulas.
_FUNCTIONS: dict[str, Callable[..., _Value]] = {
    "abs": _by_llvm("llvm.fabs"),
    "exp": _of_one("exp"),
    "expm1": _of_one("expm1"),
    "log1p": _of_one("log1p"),
    "sqrt": _by_llvm("llvm.sqrt"),
    "tanh": _of_one("tanh"),
    "where": _where,
    "minimum": _minimum,
    "maximum": _maximum,
}


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


@intrinsic
def load(typing: Any, array: Any, index: Any) -> Any:
    """Return the vector that begins at an element of an array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = _llvm(array.dtype)
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        value = builder.load(builder.bitcast(pointer, kind.as_pointer()))
        value.align = array.dtype.bitwidth // 8
        return value

    return Vector(array.dtype)(array, types.intp), generate


@intrinsic
def store(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Store a vector from an element of an array on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = _llvm(array.dtype)
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        stored = builder.store(arguments[2], builder.bitcast(pointer, kind.as_pointer()))
        stored.align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@intrinsic
def splat(typing: Any, array: Any, index: Any) -> Any:
    """Return a vector that has one element of an array in all its lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = _llvm(array.dtype)
        element = builder.load(_pointer(context, builder, signature.args[0], *arguments))
        undefined = ir.Constant(kind, ir.Undefined)
        first = builder.insert_element(undefined, element, ir.Constant(ir.IntType(32), 0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
        return builder.shuffle_vector(first, undefined, everywhere)

    return Vector(array.dtype)(array, types.intp), generate


@intrinsic
def prefetch(typing: Any, array: Any, index: Any) -> Any:
    """Begin to load the vector at an element of an array, which may lie beyond its end."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        # To be read (0), soon and often (3), data (1).
        how = [ir.Constant(word, number) for number in (0, 3, 1)]
        builder.call(function, [builder.bitcast(pointer, byte), *how])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def add_sum(typing: Any, array: Any, index: Any, value: Any, count: Any) -> Any:
    """Add the sum of a vector's first lanes to one element of an array.

    The lanes behind a signal's last element may hold anything: a quotient of zeros is NaN.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        total = builder.load(pointer)
        nothing = ir.Constant(total.type, 0.0)
        for lane in range(lanes(array.dtype)):
            element = builder.extract_element(arguments[2], ir.Constant(ir.IntType(32), lane))
            inside = builder.icmp_signed(">", arguments[3], ir.Constant(arguments[3].type, lane))
            total = builder.fadd(total, builder.select(inside, element, nothing))
        builder.store(total, pointer)
        return context.get_dummy_value()

    return types.void(array, types.intp, value, types.intp), generate


@intrinsic
def zero(typing: Any, array: Any) -> Any:
    """Return a vector of zeros of the precision of an array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _Build(builder, _llvm(array.dtype)).constant(0.0)

    return Vector(array.dtype)(array), generate


def _intrinsic(generate: Callable[..., Any], count: int) -> Callable[..., Any]:
    """Return a numba function of so many vectors, that returns one."""
    # numba counts the parameters of what it is given, and takes no star.
    names = ", ".join(f"a{k}" for k in range(count))
    own: dict[str, Any] = {"generate": generate}
    exec(f"def typed(typing, {names}):\n    return a0({names}), generate", own)
    return intrinsic(own["typed"])


def _instruction(name: str, count: int) -> Callable[..., Any]:
    """Return the numba function of one of `_Build`'s operations."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return getattr(_Build(builder, arguments[0].type), name)(*arguments)

    return _intrinsic(generate, count)


def _formula(word: str, text: str, names: tuple[str, ...]) -> Callable[..., Any]:
    """Return the numba function of a text of the table of operations."""
    code = compile(text, f"<{word}>", "eval")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        build = _Build(builder, arguments[0].type)
        values = {n: _Value(build, a) for n, a in zip(names, arguments, strict=True)}
        known: dict[str, Any] = {**_FUNCTIONS, **values}
        try:
            return eval(code, {"__builtins__": {}}, known).vector
        except (TypeError, AttributeError, NameError) as error:
            # numba shows where it was, not in which operation.
            raise TypeError(f"the text of {word!r}, {text!r}: {error}") from error

    return _intrinsic(generate, len(names))


def _vocabulary() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {
        "load": load,
        "store": store,
        "splat": splat,
        "zero": zero,
        "prefetch": prefetch,
        "add_sum": add_sum,
    }
    for name, count in (("add", 2), ("sub", 2), ("mul", 2), ("div", 2), ("neg", 1), ("fma", 3)):
        found[name] = _instruction(name, count)
    for word, (text, arguments) in words().items():
        found[word] = _formula(word, text, arguments)
    return found


#: The vocabulary of kernels, on vectors: instructions, and the formulas of the table.
VOCABULARY = _vocabulary()
