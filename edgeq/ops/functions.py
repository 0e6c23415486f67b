"""Functions of one number, a row each: FUNCTIONS are their ops, all by the kernel of lookup.py.

Sigmoid, Tanh, Elu and Abs are rounded as TensorFlow Lite Micro rounds them, the others to the
nearest step. A function is given a value everywhere: the square root of a negative number is 0,
its reciprocal and the logarithm are those of the least number that they take, exp ends at e^88.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgeq.ir import Quant
from edgeq.ops import gemmlowp
from edgeq.ops.fixed_point import multiply_by_quantized_multiplier, quantize_multiplier
from edgeq.ops.lookup import Real, lookup, rounded, rounded_in_float32
from edgeq.ops.op import Array, Op

SIGMOID_QUANT = Quant((1 / 256,), -128)
TANH_QUANT = Quant((1 / 128,), 0)
LEAST_OF_LOG = 1e-12
LEAST_OF_RSQRT = 1e-12
MOST_OF_EXP = 88.0
LEAST_OF_POWER, MOST_OF_POWER = 1e-12, 1e38
SELU_ALPHA, SELU_GAIN = 1.6732632423543772, 1.0507009873554805  # arXiv 1706.02515
_erf = np.frompyfunc(math.erf, 1, 1)


@dataclass(frozen=True)
class Sigmoid:
    pass


@dataclass(frozen=True)
class Tanh:
    pass


@dataclass(frozen=True)
class HardSigmoid:
    """clip(alpha * x + beta, 0, 1)."""

    alpha: float = 1 / 6
    beta: float = 0.5


@dataclass(frozen=True)
class Silu:
    pass


@dataclass(frozen=True)
class Gelu:
    """By the error function, or by tanh as arXiv 1606.08415 approximates it."""

    approximate: str = "none"


@dataclass(frozen=True)
class Elu:
    alpha: float = 1.0


@dataclass(frozen=True)
class Selu:
    alpha: float = SELU_ALPHA
    gamma: float = SELU_GAIN


@dataclass(frozen=True)
class Softplus:
    pass


@dataclass(frozen=True)
class Mish:
    pass


@dataclass(frozen=True)
class Exp:
    pass


@dataclass(frozen=True)
class Log:
    pass


@dataclass(frozen=True)
class Sqrt:
    pass


@dataclass(frozen=True)
class Rsqrt:
    pass


@dataclass(frozen=True)
class Abs:
    pass


@dataclass(frozen=True)
class Neg:
    pass


@dataclass(frozen=True)
class Clip:
    """Between two numbers; Relu is the op of those that a layer's clamp can take."""

    low: float = -1.0
    high: float = 1.0


@dataclass(frozen=True)
class Affine:
    """gain * x + offset, two numbers."""

    gain: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class Power:
    """x to the power of a number: of |x| where that is no whole one, of 1e-12 where x is less and
    the exponent negative.
    """

    exponent: float = 2.0


@dataclass(frozen=True)
class Erf:
    """The error function."""


@dataclass(frozen=True)
class Quantize:
    """The same number in another scale, rounded twice as TensorFlow Lite's QUANTIZE."""


@dataclass(frozen=True)
class Rescale:
    """The same number in another scale, the nearest: what joins the scales of Concat's inputs."""


def _sigmoid(attrs: object, x: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def _softplus(attrs: object, x: Array) -> Array:
    return np.logaddexp(x, np.zeros((), x.dtype))


def _gelu(attrs: Gelu, x: Array) -> Array:
    if attrs.approximate == "tanh":
        return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))
    return np.asarray(0.5 * x * (1 + np.asarray(_erf(x / math.sqrt(2)), x.dtype)))


def _elu(attrs: Elu, x: Array) -> Array:
    return np.where(x < 0, attrs.alpha * np.expm1(np.minimum(x, 0)), x)


def _selu(attrs: Selu, x: Array) -> Array:
    return np.asarray(attrs.gamma * np.where(x < 0, attrs.alpha * np.expm1(np.minimum(x, 0)), x))


def _sigmoid_steps(attrs: Sigmoid, x: Array, scale_in: float, scale_out: float) -> Array:
    return gemmlowp.on_q4_27(x, scale_in, gemmlowp.logistic, 8)


def _tanh_steps(attrs: Tanh, x: Array, scale_in: float, scale_out: float) -> Array:
    return gemmlowp.on_q4_27(x, scale_in, gemmlowp.tanh, 7)


def _abs_steps(attrs: Abs, x: Array, scale_in: float, scale_out: float) -> Array:
    ratio = float(np.float32(scale_in) / np.float32(scale_out))
    multiplier, shift = quantize_multiplier(ratio)
    return multiply_by_quantized_multiplier(np.abs(x), np.array(multiplier), np.array(shift))


def _power(attrs: Power, x: Array) -> Array:
    """Ends at the largest float32."""
    whole = attrs.exponent == int(attrs.exponent)
    size = np.abs(x).astype(np.float64)
    if attrs.exponent < 0:
        size = np.maximum(size, LEAST_OF_POWER)
    y = np.minimum(np.power(size, attrs.exponent), MOST_OF_POWER)
    odd = whole and int(attrs.exponent) % 2 == 1
    return np.asarray(np.where(x < 0, -y, y) if odd else y, x.dtype)


def _erf_of(attrs: Erf, x: Array) -> Array:
    return np.asarray(_erf(x), x.dtype)


def _rescaled(attrs: Quantize, x: Array, scale_in: float, scale_out: float) -> Array:
    multiplier, shift = quantize_multiplier(scale_in / scale_out)
    return multiply_by_quantized_multiplier(x, np.array(multiplier), np.array(shift))


def _nearest(attrs: type, real: Real) -> Op:
    return lookup(attrs, real, rounded(real), 0.0)


def _of_positive(form: Callable[[Array], Array], least: float) -> Real:
    return lambda _attrs, x: np.asarray(form(np.maximum(x, np.asarray(least, x.dtype))))


FUNCTIONS: tuple[Op, ...] = (
    lookup(Sigmoid, _sigmoid, _sigmoid_steps, 0.0, SIGMOID_QUANT),
    lookup(Tanh, lambda _, x: np.tanh(x), _tanh_steps, 0.0, TANH_QUANT),
    lookup(Elu, _elu, rounded_in_float32(_elu), 0.0),
    lookup(Abs, lambda _, x: np.abs(x), _abs_steps),
    lookup(Quantize, lambda _, x: x, _rescaled),
    _nearest(Rescale, lambda _, x: x),
    _nearest(HardSigmoid, lambda a, x: np.clip(a.alpha * x + a.beta, 0, 1)),
    _nearest(Silu, lambda a, x: x * _sigmoid(a, x)),
    _nearest(Gelu, _gelu),
    _nearest(Selu, _selu),
    _nearest(Softplus, _softplus),
    _nearest(Mish, lambda a, x: x * np.tanh(_softplus(a, x))),
    _nearest(Exp, lambda _, x: np.exp(np.minimum(x, MOST_OF_EXP))),
    _nearest(Log, _of_positive(np.log, LEAST_OF_LOG)),
    _nearest(Sqrt, _of_positive(np.sqrt, 0.0)),
    _nearest(Rsqrt, _of_positive(lambda x: 1 / np.sqrt(x), LEAST_OF_RSQRT)),
    _nearest(Neg, lambda _, x: -x),
    _nearest(Affine, lambda a, x: a.gain * x + a.offset),
    _nearest(Power, _power),
    _nearest(Erf, _erf_of),
    _nearest(Clip, lambda a, x: np.clip(x, a.low, a.high)),
)
