"""Recurrent ops that go on where the row before ended: a stream's steps, whose state is kept.

A step of T frames is the sequence's op from another state; a sequence of n T frames after a reset
is n steps, byte for byte. The state is int16 codes in units of their own: `parts` of `units`, and
the number of rows that came. A first `wait` rows leave nothing: what they read is of before the
reset. Pcen is one of them: its frames overlap, so a step reads samples that the one before read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgeq.ir import Quant, TensorType
from edgeq.ops import gru, lstm, mgu, pcen
from edgeq.ops.op import Array, Call, Fields, Io, Memory, Op, Params, Reach, Shapes, Site
from edgeq.ops.pcen_steps import PARTS

STATE = Quant((1.0,), 0)  # codes, whatever each of them stands for
MOST_WAIT = 32767
RunFrom = Callable[[Any, Io, Array, Params, Array], tuple[Array, Array]]
"""(attributes, types, x (1, T, features), constants, state (parts, units)) -> answers, state."""


@dataclass(frozen=True)
class LstmStep(lstm.Lstm):
    """State: the cell, and the hidden state without its zero point."""

    wait: int = 0


@dataclass(frozen=True)
class GruStep(gru.Gru):
    """State: what the hidden state is rounded from."""

    wait: int = 0


@dataclass(frozen=True)
class MguStep(mgu.Mgu):
    """As GruStep."""

    wait: int = 0


@dataclass(frozen=True)
class PcenStep(pcen.Pcen):
    """State: the smoothed energies, 64 bits in four codes, the low bits first."""

    wait: int = 0


Steps = LstmStep | GruStep | MguStep | PcenStep


def _rows(parts: int, run: RunFrom) -> Callable[..., tuple[Array, Array]]:
    """`Memory.run`."""

    def rows(
        attrs: Steps, io: Io, x: tuple[Array, ...], params: Params, kept: Array
    ) -> tuple[Array, Array]:
        state, came, made = kept[:-1].reshape(parts, -1), int(kept[-1]), []
        for row in x[0]:
            out, state = run(attrs, io, row[None], params, state)
            made.append(out[0])
            state = state if came >= attrs.wait else state * 0
            came = min(came + 1, attrs.wait)
        return np.stack(made), np.append(state.reshape(-1), came).astype(np.int16)

    return rows


def _float_forward(base: Op) -> Callable[[Steps, tuple[Array, ...], Params], Array]:
    """Rows that wait begin at zero each, the others are one sequence."""

    def forward(attrs: Steps, x: tuple[Array, ...], params: Params) -> Array:
        waiting, heard = x[0][: attrs.wait], x[0][attrs.wait :]
        made = [base.float_forward(attrs, (waiting,), params)] if len(waiting) else []
        if len(heard):
            one = heard.reshape(1, -1, heard.shape[-1])
            whole = base.float_forward(attrs, (one,), params)
            made.append(whole.reshape(*heard.shape[:2], -1))
        return np.concatenate(made)

    return forward


def _features(_attrs: object, io: Io) -> int:
    return io.output.shape[1]


def _step(
    kind: type[Steps],
    base: Op,
    parts: int,
    run: RunFrom,
    units: Callable[[Any, Io], int] = _features,
) -> Op:
    """A sequence's op made a step's. What stays: parts of a value a unit, and the count."""
    code = base.code
    assert isinstance(code, Call)

    def kept(attrs: Steps, io: Io) -> TensorType:
        return TensorType((parts * units(attrs, io) + 1,), "int16", STATE)

    memory = Memory(kept, _rows(parts, run))

    def reference(attrs: Steps, io: Io, x: tuple[Array, ...], params: Params) -> Array:
        nothing = np.zeros(memory.kind(attrs, io).shape, np.int16)
        return memory.run(attrs, io, x, params, nothing)[0]

    def result_shape(attrs: Steps, inputs: Shapes, params: Mapping[str, Any]) -> tuple[int, ...]:
        if not 0 <= attrs.wait <= MOST_WAIT:
            raise ValueError(f"waits for {attrs.wait} rows; give 0 to {MOST_WAIT}")
        return base.result_shape(attrs, inputs, params)

    def fields(site: Site) -> Fields:
        own = tuple((f"sequence.{name}", value) for name, value in code.fields(site))
        return (*own, ("wait", site.node.attrs.wait))

    return replace(
        base,
        name=kind.__name__,
        attrs=kind,
        result_shape=result_shape,
        float_forward=_float_forward(base),
        reference=reference,
        memory=memory,
        code=Call(kind.__name__, code.struct.replace("_params", "_step_params"), fields),
    )


CARRIED: tuple[Op, ...] = (
    _step(LstmStep, lstm.OP, 2, lstm.run_from),
    _step(GruStep, gru.OP, 1, gru.run_from(gru.GATES, gru.step)),
    _step(MguStep, mgu.OP, 1, gru.run_from(mgu.GATES, mgu.step)),
    replace(
        _step(PcenStep, pcen.OP, PARTS, pcen.run_from, lambda attrs, _io: attrs.mels),
        float_forward=lambda attrs, x, _params: pcen.float_steps(attrs, x[0], attrs.wait),
    ),
)
CARRYING = tuple(op.name for op in CARRIED)
STEPS: Mapping[str, type] = {op.name.removesuffix("Step"): op.attrs for op in CARRIED}


def step_of(attrs: lstm.Lstm | gru.Gru | mgu.Mgu | pcen.Pcen, wait: int) -> Steps:
    """The attributes of a sequence's op, as a step's."""
    made: Steps = STEPS[type(attrs).__name__](**vars(attrs), wait=wait)
    return made


def step_reach(attrs: lstm.Lstm | gru.Gru | mgu.Mgu | pcen.Pcen) -> Reach:
    """What a row of a step reads beside its state."""
    if isinstance(attrs, pcen.Pcen):
        return Reach(lambda _: attrs, attrs.window, attrs.hop)
    return Reach(lambda _: attrs)
