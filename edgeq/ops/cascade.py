"""Cascade: experts in order; the signal of one's answer decides whether the next one runs.

Input: what every expert reads. Outputs: (y, route, signal): the answer of the last expert that
ran, its index, and the signal of the last decision.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from edgeq.ir import Graph
from edgeq.ops.hold import counts, held
from edgeq.ops.mixture import Expert, experts_shape
from edgeq.ops.op import (
    INT8,
    NO_FUSION,
    NO_WIDENING,
    Array,
    Call,
    Fields,
    Lowered,
    Memory,
    Name,
    Op,
    Params,
    Place,
    Pointer,
    Role,
    Shapes,
    Site,
    no_accumulators,
    no_limit,
    no_macs,
    own_scale,
    whole_window,
)
from edgeq.ops.signal import Signal
from edgeq.ops.signals import SIGNALS

RunGraph = Callable[[Graph, Array], Mapping[str, Array]]
THRESHOLDS = "thresholds"
LEAST_CLASSES = 2  # a signal compares outputs


@dataclass(frozen=True)
class Cascade:
    """`thresholds`: real ones, one a stage but the last, in units of the signal; () to have them
    chosen so that the share `escalate` (one a stage) of the calibration rows that reach a stage
    goes on from it. The integers that decide are the constant "thresholds". `heads`: how many each
    expert but the last has, where the signal reads them. `hold`: where rows follow on one another,
    how many more go on from a stage behind one that was unsure there.
    """

    experts: tuple[Expert, ...]
    signal: str = "gap"
    thresholds: tuple[float, ...] = ()
    escalate: tuple[float, ...] = ()
    heads: int = 0
    hold: int = 0

    # what a mixture may choose, and a cascade has once and for all
    @property
    def top_k(self) -> int:
        """One expert answers."""
        return 1

    @property
    def gate(self) -> str:
        """Its answer is not weighed."""
        return "none"

    @property
    def rule(self) -> Signal:
        """The signal as a row of SIGNALS."""
        return SIGNALS[self.signal]

    def read(self, expert: Expert, values: Mapping[str, Array]) -> Array:
        """What the signal is of, from an expert's tensors: its outputs, or its heads (rows, K,
        classes).
        """
        if not self.rule.heads:
            return values[expert.graph.outputs[0]]
        found = values[expert.heads]
        return found.reshape(len(found), self.heads, -1)


@dataclass(frozen=True)
class CascadeResult:
    """output (rows, ...) int8; route (rows,), the answering expert; signal (rows,), of the last
    decision; left (stages - 1,) int16: the rows behind the last that still go on (ops/hold.py).
    """

    output: Array
    route: Array
    signal: Array
    left: Array


def reference(
    attrs: Cascade, x: Array, params: Params, run: RunGraph, before: Array | None = None
) -> CascadeResult:
    """Integer semantics; `run` gives every tensor of one expert's graph on int8 rows. `before`: the
    `left` of the rows before these, none after a reset.
    """
    rows, stages = len(x), len(attrs.experts)
    kept = np.zeros(stages - 1, np.int16) if before is None else before
    after = np.maximum(kept.astype(np.int64) - rows, 0)  # of a stage that no row reaches
    y = np.zeros((rows, *experts_shape(attrs.experts)), dtype=np.int8)
    route, signal = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    left, given = np.arange(rows), x
    for stage, expert in enumerate(attrs.experts):
        if len(left) == 0:
            break
        values = run(expert.graph, given)
        y[left], route[left] = values[expert.graph.outputs[0]], stage
        if stage < len(attrs.experts) - 1:
            signal[left] = attrs.rule.of(attrs.read(expert, values), params)
            unsure = np.zeros(rows, bool)
            unsure[left] = attrs.rule.goes_on(signal[left], int(params[THRESHOLDS][stage]))
            escalated, after[stage] = held(unsure, int(kept[stage]), attrs.hold)
            goes_on = escalated[left]
            left, given = left[goes_on], expert.handed_on(given, values)[goes_on]
    return CascadeResult(y, route, signal, after.astype(np.int16))


def ran(route: Array, stages: int) -> Array:
    """The experts (rows, stages) that ran, the answering one first; where fewer ran, 0 again."""
    return np.asarray(np.maximum(route[:, None] - np.arange(stages)[None, :], 0))


def _result_shape(attrs: Cascade, inputs: Shapes, params: Mapping[str, Any]) -> tuple[int, ...]:
    shape = experts_shape(attrs.experts)
    if len(shape) != 1 or shape[0] < LEAST_CLASSES:
        raise ValueError(
            f"its experts give {shape}; a signal wants {LEAST_CLASSES} classes or more"
        )
    return shape


def _roles(attrs: Cascade) -> tuple[Role, ...]:
    return (Role(THRESHOLDS, "int32", Place.INLINE), *attrs.rule.roles)


def _lower(site: Site) -> Lowered:
    """All but the thresholds, which `freeze_cascade` takes from the calibration rows."""
    attrs: Cascade = site.node.attrs
    return Lowered(attrs.rule.lower(site.output_quant.per_tensor, attrs.heads), {})


def _fields(site: Site) -> Fields:
    """edgeq_signal_params; what the signal has not got is zero."""
    attrs: Cascade = site.node.attrs
    held, classes = {role.name for role in attrs.rule.roles}, site.output_size
    if attrs.rule.heads:
        first = attrs.experts[0]
        classes = first.graph.tensors[first.heads].size // attrs.heads

    def number(role: str) -> int:
        return int(site.number(role)) if role in held else 0

    return (
        ("exp_table", Pointer("exp_table") if "exp_table" in held else Name("NULL")),
        ("factor", np.array(number("factor"), np.int64)),
        ("classes", classes),
        ("heads", attrs.heads),
        ("multiplier", number("multiplier")),
        ("shift", number("shift")),
    )


def _by_graphs(*_: object) -> NoReturn:
    raise NotImplementedError("a cascade runs graphs: `reference` above, passes/float_forward.py")


OP = Op(
    name="Cascade",
    attrs=Cascade,
    arity=1,
    dtypes=INT8,
    result_shape=_result_shape,
    float_forward=_by_graphs,
    reference=_by_graphs,
    macs=no_macs,
    roles=_roles,
    scale=own_scale,
    finest=no_limit,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=_lower,
    accumulators=no_accumulators,
    reach=whole_window,
    memory=Memory(
        lambda attrs, _io: counts(len(attrs.experts) - 1), _by_graphs, lambda a: a.hold > 0
    ),
    code=Call("Cascade", "edgeq_signal_params", _fields),
)
