"""What recurrent ops share: weights with a scale a gate, and their sums in Q3.12.

Both weights hold a block of `units` rows a gate, one behind another. The sums of the input and of
the hidden state are requantised and saturated each by itself, then added.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeq.ir import Quant, TensorType
from edgeq.ops.fixed_point import multiply_by_quantized_multiplier, quantize_multipliers
from edgeq.ops.lstm_steps import saturated
from edgeq.ops.op import Accumulator, Array, Io, Params, Site
from edgeq.ops.weighted import BIAS_LIMIT

GATE_SCALE, ANSWER_SCALE = np.float32(2.0**-12), 2.0**-15
WEIGHTS = ("input", "recurrent")


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def units_of(params: Mapping[str, Any]) -> int:
    """Of a recurrent weight (gates * units, units)."""
    units: int = params["recurrent_weight"].shape[1]
    return units


def sequence_shape(
    gates: int, shape: tuple[int, ...], params: Mapping[str, Any]
) -> tuple[int, int]:
    """(T, units) of a sequence (T, features). ValueError for weights of another."""
    given, kept = params["input_weight"].shape, params["recurrent_weight"].shape
    units = kept[-1]
    if len(shape) != 2 or given != (gates * units, shape[1]) or kept != (gates * units, units):
        raise ValueError(f"weights {given} and {kept} do not fit a sequence {shape}")
    return shape[0], units


def scaled(x: Array, params: Params, name: str, which: int) -> Array:
    """x times multiplier number `which` of a role."""
    multiplier, shift = (params[f"{name}_{part}"][which] for part in ("multiplier", "shift"))
    return multiply_by_quantized_multiplier(x, multiplier, shift)


def gate_sums(params: Params, name: str, gate: int, x: Array, bias: str | None = None) -> Array:
    """Q3.12 (rows, units) of centred x and the weight `name`."""
    units = units_of(params)
    rows = slice(gate * units, (gate + 1) * units)
    made = x @ params[f"{name}_weight"][rows].astype(np.int64).T
    made = made if bias is None else made + params[bias][rows]
    return saturated(scaled(made, params, name, gate))


def numbers(name: str, real: Array) -> dict[str, Array]:
    """`real` as multipliers and shifts, by role."""
    multiplier, shift = quantize_multipliers(real)
    name = f"{name}_" if name else ""
    return {f"{name}multiplier": multiplier, f"{name}shift": shift.astype(np.int32)}


def gate_numbers(name: str, quant: Quant, scales: Array) -> dict[str, Array]:
    """To Q3.12; scales are multiplied in float32 as TensorFlow Lite Micro does."""
    real = np.float32(quant.per_tensor) * np.asarray(scales, np.float32) / GATE_SCALE
    return numbers(name, real.astype(np.float64))


def gate_codes(site: Site, role: str, gates: int) -> tuple[Array, Array]:
    """(codes int8, a scale a gate): those that the weights carry, else of real ones."""
    quant = site.type_of_param(role).quant
    if quant is not None:
        codes = site.param(role)
        return codes, np.array(quant.scale).reshape(gates, -1)[:, 0]
    real = site.real(role)
    blocks = real.reshape(gates, -1)
    scales = np.maximum(np.abs(blocks).max(axis=1), 1e-12) / 127
    return np.round(blocks / scales[:, None]).reshape(real.shape).astype(np.int8), scales


def with_bias(
    codes: Array, scales: Array, bias: Array, scale_in: float
) -> tuple[Array, Array, Array]:
    """(codes, scales, bias int32), gates coarser where a bias would not fit its accumulator."""
    gates = len(scales)
    largest = np.abs(bias.astype(np.float64)).reshape(gates, -1).max(axis=1)
    wider = np.maximum(scales, largest / (scale_in * BIAS_LIMIT))
    blocks = codes.reshape(gates, -1) * (scales / wider)[:, None]
    codes = np.round(blocks).reshape(codes.shape).astype(np.int8)
    steps = np.repeat(scale_in * wider, len(codes) // gates)
    return codes, wider, np.round(bias / steps).astype(np.int32)


def weight_types(values: Mapping[str, Array], given: Array, kept: Array) -> dict[str, TensorType]:
    """The types of both weights: a scale a row, equal inside a gate."""
    found = {}
    for name, scales in (("input_weight", given), ("recurrent_weight", kept)):
        rows = np.repeat(np.asarray(scales, np.float64), len(values[name]) // len(scales))
        found[name] = TensorType(values[name].shape, "int8", Quant(tuple(rows.tolist()), 0, 0))
    return found


def weight_types_of(role: str, codes: Array, scale: float) -> dict[str, TensorType]:
    """The type of a weight of one scale."""
    return {role: TensorType(codes.shape, str(codes.dtype), Quant((scale,), 0, 0))}


def accumulator(site: Site, name: str, bias: str | None) -> Accumulator:
    """The sums of a weight of all gates."""
    rows = np.abs(site.param(f"{name}_weight").astype(np.int64)).sum(axis=1) * 255
    if bias is not None:
        rows = rows + np.abs(site.param(bias).astype(np.int64))
    multiplier, shift = (site.param(f"{name}_{part}") for part in ("multiplier", "shift"))
    units = len(rows) // len(shift)
    return Accumulator(rows, np.repeat(multiplier, units), np.repeat(shift, units))


def macs(attrs: object, io: Io, params: Mapping[str, Any]) -> int:
    both = params["input_weight"].size + params["recurrent_weight"].size
    return int(io.output.shape[0] * both)


def finest(attrs: object, scales: tuple[float, ...], params: Params) -> float:
    """A hidden state of Q0.15 has no finer steps."""
    return ANSWER_SCALE
