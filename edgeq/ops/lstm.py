"""LSTM over a sequence (T, features) -> (T, units), its state zero before each: int8 in and out,
int16 cell, to the byte TensorFlow Lite Micro's UNIDIRECTIONAL_SEQUENCE_LSTM.

Gates are in the order input, forget, cell, output, a block of `units` rows each. Their sums are
Q3.12, their answers Q0.15; the cell is in steps of 2^cell_power.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ir import Quant
from edgeq.ops.gates import (
    ANSWER_SCALE,
    WEIGHTS,
    accumulator,
    finest,
    gate_codes,
    gate_numbers,
    gate_sums,
    macs,
    numbers,
    scaled,
    sequence_shape,
    sigmoid,
    units_of,
    weight_types,
    with_bias,
)
from edgeq.ops.lstm_steps import DEVICE_TABLE, saturated, sigmoid_q15, tanh_q15
from edgeq.ops.op import (
    INT8,
    NO_FUSION,
    NO_WIDENING,
    Accumulator,
    Array,
    Call,
    Fields,
    Io,
    Lowered,
    Op,
    Params,
    Place,
    Pointer,
    Role,
    Shapes,
    Site,
    own_scale,
    quant_of,
    whole_window,
    zero_point_fields,
)

GATES = 4
MOST_POWER, LEAST_POWER = -9, -15
ONNX_GATES = (0, 3, 1, 2)  # ONNX has input, output, forget, cell


@dataclass(frozen=True)
class Lstm:
    """`cell_clip`: in steps of the cell; 0 is none."""

    cell_power: int = -12
    cell_clip: int = 0


def power_for(largest: float) -> int:
    """The finest steps, as a power of two, in which int16 holds a cell of that magnitude."""
    return min(max(math.ceil(math.log2(max(largest, 1e-9) / 32767)), LEAST_POWER), MOST_POWER)


def cell_power(steps: int) -> int:
    """For any weights: a step adds less than 1 to a cell. Beyond 64 it saturates."""
    return power_for(min(steps, 64) * 32767 / 32768)


def _result_shape(attrs: Lstm, inputs: Shapes, params: Mapping[str, Any]) -> tuple[int, ...]:
    made = sequence_shape(GATES, inputs[0], params)
    if not LEAST_POWER <= attrs.cell_power <= MOST_POWER or not 0 <= attrs.cell_clip <= 32767:
        raise ValueError(f"a cell in steps of 2^{attrs.cell_power}, clipped at {attrs.cell_clip}")
    return made


def _float_forward(attrs: Lstm, x: tuple[Array, ...], params: Params) -> Array:
    units = units_of(params)
    hidden, cell = (np.zeros((len(x[0]), units)) for _ in range(2))
    made = []
    for step in range(x[0].shape[1]):
        sums = x[0][:, step] @ params["input_weight"].T + hidden @ params["recurrent_weight"].T
        i, f, c, o = np.split(sums + params["bias"], GATES, axis=1)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(c)
        hidden = sigmoid(o) * np.tanh(cell)
        made.append(hidden)
    return np.stack(made, axis=1)


def _gate(params: Params, gate: int, x: Array, hidden: Array) -> Array:
    own = gate_sums(params, "input", gate, x, "bias")
    return saturated(own + gate_sums(params, "recurrent", gate, hidden))


def _sequence(
    attrs: Lstm, io: Io, x: Array, params: Params, cell: Array, hidden: Array
) -> tuple[Array, Array, Array]:
    """Answers of all steps, the last cell and the last hidden state (rows, units)."""
    zero = quant_of(io.output).zero_point
    given, made = x.astype(np.int64) - quant_of(io.inputs[0]).zero_point, []
    for step in range(given.shape[1]):
        i, f, c, o = (_gate(params, gate, given[:, step], hidden) for gate in range(GATES))
        kept = saturated(scaled(sigmoid_q15(f) * cell, params, "product", 0))
        fresh = saturated(scaled(sigmoid_q15(i) * tanh_q15(c, -12), params, "product", 1))
        cell = saturated(kept + fresh)
        if attrs.cell_clip:
            cell = np.clip(cell, -attrs.cell_clip, attrs.cell_clip)
        product = tanh_q15(cell, attrs.cell_power) * sigmoid_q15(o)
        out = np.clip(scaled(product, params, "product", 2) + zero, -128, 127)
        hidden = out - zero
        made.append(out)
    return np.stack(made, axis=1).astype(np.int8), cell, hidden


def _reference(attrs: Lstm, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    nothing = np.zeros((len(x[0]), units_of(params)), np.int64)
    return _sequence(attrs, io, x[0], params, nothing, nothing)[0]


def run_from(attrs: Lstm, io: Io, x: Array, params: Params, state: Array) -> tuple[Array, Array]:
    """Answers of x (1, T, features) from a state (2, units): the cell, and the hidden state less
    its zero point; and the state behind them.
    """
    cell, hidden = state.astype(np.int64)[:, None]
    made, cell, hidden = _sequence(attrs, io, x, params, cell, hidden)
    return made, np.concatenate([cell, hidden])


def integer_params(
    attrs: Lstm, given: Quant, made: Quant, input_scales: Array, recurrent_scales: Array
) -> dict[str, Array]:
    """Multipliers and shifts, the scales multiplied in float32 as TensorFlow Lite Micro does."""
    found = gate_numbers("input", given, input_scales)
    found |= gate_numbers("recurrent", made, recurrent_scales)
    cell = 2.0**attrs.cell_power
    products = (
        ANSWER_SCALE,
        ANSWER_SCALE**2 / cell,
        ANSWER_SCALE**2 / float(np.float32(made.per_tensor)),
    )
    return found | numbers("product", np.array(products)) | {"table": DEVICE_TABLE}


def _lower(site: Site) -> Lowered:
    values: dict[str, Array] = {}
    scales: dict[str, Array] = {}
    for name in WEIGHTS:
        values[f"{name}_weight"], scales[name] = gate_codes(site, f"{name}_weight", GATES)
    pair = values["input_weight"], scales["input"]
    made = with_bias(*pair, site.real("bias"), site.input_quant().per_tensor)
    values["input_weight"], scales["input"], values["bias"] = made
    ends = site.input_quant(), site.output_quant
    values |= integer_params(site.node.attrs, *ends, scales["input"], scales["recurrent"])
    return Lowered(values, weight_types(values, scales["input"], scales["recurrent"]))


def _accumulators(site: Site) -> tuple[Accumulator, ...]:
    return accumulator(site, "input", "bias"), accumulator(site, "recurrent", None)


_PARTS = ("input", "recurrent", "product")
ROLES = (
    Role("input_weight", "int8"),
    Role("recurrent_weight", "int8"),
    Role("bias", "int32"),
    Role("table", "uint16"),
    *(Role(f"{n}_{p}", "int32", Place.INLINE) for n in _PARTS for p in ("multiplier", "shift")),
)


def _fields(site: Site) -> Fields:
    steps, features = site.input_shape
    pointers = tuple((n, Pointer(n)) for n in ("input_weight", "recurrent_weight", "bias", "table"))
    numbers = tuple(
        (f"{n}_{p}", site.param(f"{n}_{p}")) for n in _PARTS for p in ("multiplier", "shift")
    )
    return (
        *pointers,
        *numbers,
        ("steps", steps),
        ("features", features),
        ("units", site.output_shape[1]),
        ("cell_power", site.node.attrs.cell_power),
        ("cell_clip", site.node.attrs.cell_clip or 32768),
        *zero_point_fields(site),
    )


OP = Op(
    name="Lstm",
    attrs=Lstm,
    arity=1,
    dtypes=INT8,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=macs,
    roles=lambda _: ROLES,
    scale=own_scale,
    finest=finest,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=_lower,
    accumulators=_accumulators,
    reach=whole_window,
    memory=None,
    code=Call("Lstm", "edgeq_lstm_params", _fields),
)
