"""GRU over a sequence (T, features) -> (T, units), its state zero before each: int8 in and out, an
int16 state. The reset gate stands behind the recurrent product, as PyTorch and ONNX
(linear_before_reset) have it.

Gates are in the order reset, update, new, a block of `units` rows each. Their sums are Q3.12, their
answers and the state Q0.15; the products read the state as int8.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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
    Site,
    own_scale,
    quant_of,
    whole_window,
    zero_point_fields,
)

GATES = 3
RESET, UPDATE, NEW = range(GATES)
ONNX_GATES = (UPDATE, RESET, NEW)
Step = Callable[[Sequence[Array], Sequence[Array], Array], Array]  # sums of both, the state
BIASES = {"input": "bias", "recurrent": "recurrent_bias"}


@dataclass(frozen=True)
class Gru:
    pass


def _float_forward(attrs: Gru, x: tuple[Array, ...], params: Params) -> Array:
    hidden, made = np.zeros((len(x[0]), units_of(params))), []
    for step in range(x[0].shape[1]):
        own = x[0][:, step] @ params["input_weight"].T + params["bias"]
        kept = hidden @ params["recurrent_weight"].T + params["recurrent_bias"]
        pairs = zip(np.split(own, GATES, axis=1), np.split(kept, GATES, axis=1), strict=True)
        reset, update, new = pairs
        candidate = np.tanh(new[0] + sigmoid(reset[0] + reset[1]) * new[1])
        share = sigmoid(update[0] + update[1])
        hidden = share * hidden + (1 - share) * candidate
        made.append(hidden)
    return np.stack(made, axis=1)


def half_up(x: Array) -> Array:
    """x / 2^15, ties upward."""
    return (x + (1 << 14)) >> 15


def _sequence(
    gates: int, step: Step, io: Io, x: Array, params: Params, state: Array
) -> tuple[Array, Array]:
    """The int8 answers of all steps, each of which makes the next state, from one (rows, units);
    and the last.
    """
    zero = quant_of(io.output).zero_point
    given = x.astype(np.int64) - quant_of(io.inputs[0]).zero_point
    hidden, made = _shown(state, params, zero) - zero, []
    for at in range(given.shape[1]):
        own, kept = (
            [gate_sums(params, name, gate, rows, BIASES[name]) for gate in range(gates)]
            for name, rows in (("input", given[:, at]), ("recurrent", hidden))
        )
        state = step(own, kept, state)
        made.append(_shown(state, params, zero))
        hidden = made[-1] - zero
    return np.stack(made, axis=1).astype(np.int8), state


def _shown(state: Array, params: Params, zero: int) -> Array:
    """A state as it is answered."""
    return np.asarray(np.clip(scaled(state, params, "output", 0) + zero, -128, 127))


def _reference(gates: int, step: Step, io: Io, x: Array, params: Params) -> Array:
    nothing = np.zeros((len(x), units_of(params)), np.int64)
    return _sequence(gates, step, io, x, params, nothing)[0]


def run_from(
    gates: int, step: Step
) -> Callable[[object, Io, Array, Params, Array], tuple[Array, Array]]:
    """Answers of x (1, T, features) from a state (1, units), and the state behind them."""

    def run(attrs: object, io: Io, x: Array, params: Params, state: Array) -> tuple[Array, Array]:
        return _sequence(gates, step, io, x, params, state.astype(np.int64))

    return run


def step(own: Sequence[Array], kept: Sequence[Array], state: Array) -> Array:
    reset, update = (sigmoid_q15(saturated(own[g] + kept[g])) for g in (RESET, UPDATE))
    new = tanh_q15(saturated(own[NEW] + half_up(reset * kept[NEW])), -12)
    return half_up(update * state + ((1 << 15) - update) * new)


def _lower(site: Site, gates: int) -> Lowered:
    """Weights, biases and multipliers of so many gates, a block each."""
    values: dict[str, Array] = {"table": DEVICE_TABLE}
    scales: dict[str, Array] = {}
    made = site.output_quant
    for name, quant in zip(WEIGHTS, (site.input_quant(), made), strict=True):
        pair = gate_codes(site, f"{name}_weight", gates)
        real = site.real(BIASES[name])
        codes, scales[name], bias = with_bias(*pair, real, quant.per_tensor)
        values |= {f"{name}_weight": codes, BIASES[name]: bias}
        values |= gate_numbers(name, quant, scales[name])
    values |= numbers("output", np.array([ANSWER_SCALE / made.per_tensor]))
    return Lowered(values, weight_types(values, scales["input"], scales["recurrent"]))


def _accumulators(site: Site) -> tuple[Accumulator, ...]:
    """Of both products."""
    return tuple(accumulator(site, name, bias) for name, bias in BIASES.items())


_PARTS = (*WEIGHTS, "output")
ARRAYS = {
    "input_weight": "int8",
    "recurrent_weight": "int8",
    "bias": "int32",
    "recurrent_bias": "int32",
    "table": "uint16",
}
ROLES = (
    *(Role(name, dtype) for name, dtype in ARRAYS.items()),
    *(Role(f"{n}_{p}", "int32", Place.INLINE) for n in _PARTS for p in ("multiplier", "shift")),
)


def _of_three(numbers: Array) -> Array:
    return np.pad(numbers, (0, GATES - len(numbers)))


def _fields(site: Site) -> Fields:
    """Of edgeq_gru_params, which is an Mgu's too."""
    steps, features = site.input_shape
    inline = [f"{n}_{p}" for n in WEIGHTS for p in ("multiplier", "shift")]
    return (
        *((name, Pointer(name)) for name in ARRAYS),
        *((name, _of_three(site.param(name))) for name in inline),
        ("output_multiplier", int(site.param("output_multiplier")[0])),
        ("output_shift", int(site.param("output_shift")[0])),
        ("steps", steps),
        ("features", features),
        ("units", site.output_shape[1]),
        *zero_point_fields(site),
    )


def row(
    attrs: type,
    gates: int,
    float_forward: Callable[[Any, tuple[Array, ...], Params], Array],
    step: Step,
) -> Op:
    """The row of a layer whose integers and constants are a Gru's, named as its attributes."""
    return Op(
        name=attrs.__name__,
        attrs=attrs,
        arity=1,
        dtypes=INT8,
        result_shape=lambda _, inputs, params: sequence_shape(gates, inputs[0], params),
        float_forward=float_forward,
        reference=lambda _, io, x, params: _reference(gates, step, io, x[0], params),
        macs=macs,
        roles=lambda _: ROLES,
        scale=own_scale,
        finest=finest,
        fuses=NO_FUSION,
        weight_axis=None,
        widens=NO_WIDENING,
        lower=lambda site: _lower(site, gates),
        accumulators=_accumulators,
        reach=whole_window,
        memory=None,
        code=Call(attrs.__name__, "edgeq_gru_params", _fields),
    )


OP = row(Gru, GATES, _float_forward, step)
