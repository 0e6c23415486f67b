"""What layers of int16 activations and int8 weights share ("16x8"): 64-bit sums, requantised once.

TensorFlow Lite's MultiplyByQuantizedMultiplier of an int64: the multiplier cut to 15 bits, then one
shift, ties upward. A CONV_2D whose bias is int32 sums in 32 bits there and is requantised as int8
layers are (`fixed_point`).
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from edgeq.ir import Quant, TensorType
from edgeq.ops.fixed_point import multiply_by_quantized_multiplier, quantize_multipliers
from edgeq.ops.op import (
    Accumulator,
    Array,
    Fields,
    Lowered,
    Params,
    Pointer,
    Role,
    Site,
    activation_bounds,
    clamp_fields,
    quant_of,
)

INT16: frozenset[str] = frozenset({"int16"})
REACH = 1 << 15  # of an int16 code
MOST_SHIFT = 7  # TensorFlow Lite's own bound on the shift of a 64-bit sum
MOST_SUM = (1 << 47) - 1  # and on the sum
FARTHEST = 1 << 62
ROLES = (
    Role("weight", "int8"),
    Role("bias", "int64"),
    Role("multiplier", "int32"),
    Role("shift", "int8"),
)
POINTERS: Fields = tuple((role.name, Pointer(role.name)) for role in ROLES)


class Wide(Protocol):
    """Attributes of such a layer. `sums`: the type that TensorFlow Lite Micro adds up in."""

    activation: str
    sums: str


def bounds(activation: str, quant: Quant) -> tuple[int, int]:
    """int16 clamp of a fused activation."""
    return activation_bounds(activation, quant, -REACH, REACH - 1)


def reduced(multiplier: Array) -> Array:
    """Multipliers of 31 bits, rounded to 15 as TensorFlow Lite does for 64-bit sums."""
    wide = multiplier.astype(np.int64)
    return np.where(wide < 0x7FFF0000, (wide + (1 << 15)) >> 16, 0x7FFF).astype(np.int32)


def multiply_once(acc: Array, multiplier: Array, shift: Array) -> npt.NDArray[np.int64]:
    """(acc * multiplier + half) >> (15 - shift) of int64 sums and `reduced` multipliers."""
    right = 15 - np.asarray(shift, np.int64)
    half = np.int64(1) << (right - 1)
    return np.asarray((acc.astype(np.int64) * multiplier + half) >> right, np.int64)


def requantized(
    sums: str, acc: Array, params: Params, ends: tuple[int, int]
) -> npt.NDArray[np.int16]:
    """Sums (..., outputs) to int16 codes."""
    scaled = multiply_once if sums == "int64" else multiply_by_quantized_multiplier
    y = scaled(acc, params["multiplier"], params["shift"])
    return np.clip(y, *ends).astype(np.int16)


def integers(real: Array, sums: str) -> dict[str, Array]:
    """multiplier and shift of a layer, from an output's real factors. Raises ValueError for one
    that TensorFlow Lite's 64-bit form does not take.
    """
    multiplier, shift = quantize_multipliers(real)
    if sums == "int64":
        if shift.max(initial=0) > MOST_SHIFT:
            raise ValueError(f"a scale grows by 2^{shift.max()}; 2^{MOST_SHIFT} is the most")
        multiplier = reduced(multiplier)
    return {"multiplier": multiplier, "shift": shift.astype(np.int8)}


def lower(site: Site) -> Lowered:
    """Of weights that carry codes, outputs first, and real biases."""
    attrs: Wide = site.node.attrs
    codes, kind = site.param("weight"), site.type_of_param("weight")
    scale = np.broadcast_to(np.asarray(quant_of(kind).scale), (len(codes),))
    given = site.input_quant().per_tensor
    values = {
        "weight": codes,
        "bias": np.round(site.real("bias") / (given * scale)).astype(np.int64),
        **integers(given * scale / site.output_quant.per_tensor, attrs.sums),
    }
    return Lowered(values, {"weight": TensorType(codes.shape, "int8", quant_of(kind))})


def accumulators(site: Site) -> tuple[Accumulator, ...]:
    """Sums of 32 bits as they are. Of 64 bits: what they are once requantised, which has to lie in
    int32, or how far they pass TensorFlow Lite's 48 bits.
    """
    attrs: Wide = site.node.attrs
    rows = np.abs(site.param("weight").astype(np.int64)).reshape(site.output_shape[-1], -1)
    bias = np.abs(np.clip(site.param("bias"), -FARTHEST, FARTHEST))  # -2^63 has no opposite
    reach = rows.sum(axis=1) * REACH + bias
    multiplier, shift = site.param("multiplier"), site.param("shift")
    if attrs.sums == "int32":  # who shifts it to the left stays inside int64
        return (Accumulator(np.minimum(reach, 1 << 32), multiplier, shift),)
    beyond = np.where(reach > MOST_SUM, reach, 0)
    made = multiply_once(np.minimum(reach, MOST_SUM), multiplier, shift)
    return (Accumulator(np.maximum(made, beyond), multiplier, np.zeros_like(shift)),)


def convolution_fields(
    site: Site, window: Fields, dilation: tuple[int, int], sizes: tuple[int, int, int]
) -> Fields:
    """edgeq_wide_conv_2d_params. `window`: its members of that name; `sizes`: groups, channels that
    one reads, outputs that it has.
    """
    attrs: Wide = site.node.attrs
    groups, channels, outputs = sizes
    own = {
        "dilation_height": dilation[0],
        "dilation_width": dilation[1],
        "groups": groups,
        "group_channels": channels,
        "group_outputs": outputs,
        "narrow_sums": int(attrs.sums == "int32"),
    }
    return (*POINTERS, *window, *own.items(), *clamp_fields(site))
