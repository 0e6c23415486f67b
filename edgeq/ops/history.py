"""History: the newest cells of a stream, some of them from rows before: a ring buffer.

Cells lie along the first axis of more than one cell (axes in front of it are 1). What is kept and
what is given, oldest first, are one sequence; its first `cells` go out, its newest are kept. So
`late` of the given cells wait for a later row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgeq.ir import TensorType
from edgeq.ops.op import (
    NO_FUSION,
    NO_WIDENING,
    Array,
    Call,
    Fields,
    Io,
    Memory,
    Op,
    Params,
    Shapes,
    Site,
    no_accumulators,
    no_constants,
    no_limit,
    no_macs,
    no_roles,
    quant_of,
    shared_scale,
    whole_window,
    with_entry,
)


@dataclass(frozen=True)
class History:
    """`axis`: of time; the output has `cells` along it."""

    axis: int
    cells: int
    late: int = 0

    def kept(self, given: int) -> int:
        """Cells that wait between rows of `given` new ones."""
        return self.cells + self.late - given


def _result_shape(attrs: History, inputs: Shapes, params: Mapping[str, Any]) -> tuple[int, ...]:
    shape, axis = inputs[0], attrs.axis
    if not 0 <= axis < len(shape) or any(n != 1 for n in shape[:axis]):
        raise ValueError(f"{shape} has no cells one behind another along axis {axis}")
    if attrs.cells < 1 or attrs.late < 0 or attrs.kept(shape[axis]) < 1:
        raise ValueError(
            f"{attrs.cells} cells, {attrs.late} late, of {shape[axis]} new ones need no history"
        )
    return with_entry(shape, axis, attrs.cells)


def _kind(attrs: History, io: Io) -> TensorType:
    given = io.inputs[0]
    kept = attrs.kept(given.shape[attrs.axis])
    return replace(given, shape=with_entry(given.shape, attrs.axis, kept))


def _sequence(attrs: History, x: Array, kept: Array) -> tuple[Array, Array]:
    """Outputs of rows x (rows, *shape) that follow on what is kept (*shape), and what stays."""
    axis, given = attrs.axis, x.shape[attrs.axis + 1]
    cells = np.concatenate([kept, *x], axis=axis)
    starts = given * np.arange(len(x))[:, None] + np.arange(attrs.cells)
    made = np.moveaxis(np.take(cells, starts, axis=axis), axis, 0)
    newest = np.take(cells, np.arange(-attrs.kept(given), 0), axis=axis)
    return np.ascontiguousarray(made), np.ascontiguousarray(newest)


def _float_forward(attrs: History, x: tuple[Array, ...], params: Params) -> Array:
    """Rows are a sequence that begins after a reset."""
    shape = x[0].shape[1:]
    kept = with_entry(shape, attrs.axis, attrs.kept(shape[attrs.axis]))
    return _sequence(attrs, x[0], np.zeros(kept, x[0].dtype))[0]


def _run(
    attrs: History, io: Io, x: tuple[Array, ...], params: Params, kept: Array
) -> tuple[Array, Array]:
    return _sequence(attrs, x[0], kept)


def _reference(attrs: History, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    kind = _kind(attrs, io)
    return _sequence(attrs, x[0], np.full(kind.shape, quant_of(kind).zero_point, kind.dtype))[0]


def _fields(site: Site) -> Fields:
    attrs: History = site.node.attrs
    kept, given = _kind(attrs, site.io).bytes, site.io.inputs[0].bytes
    made = site.io.output.bytes
    old, stays = min(made, kept), max(kept - given, 0)
    return (
        ("old", old),
        ("new_made", made - old),
        ("given", given),
        ("stays", stays),
        ("new_kept", kept - stays),
    )


OP = Op(
    name="History",
    attrs=History,
    arity=1,
    dtypes=frozenset({"int8", "int16"}),
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=no_macs,
    roles=no_roles,
    scale=shared_scale,
    finest=no_limit,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=no_constants,
    accumulators=no_accumulators,
    reach=whole_window,
    memory=Memory(_kind, _run),
    code=Call("History", "edgeq_history_params", _fields),
)
