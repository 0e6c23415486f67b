"""Readers of whole numbers that are computed of activations: ARG_MAX, ARG_MIN, CAST, sums with a
constant, and a GATHER from a table of every code.

Their tensors are int32 in the file. Here each is an int8 tensor of the graph and what stands to be
added to its codes: `Growing.wide`.
"""

from collections.abc import Mapping

import numpy as np

from edgeq.frontend.findings import FollowsRefused, Refused
from edgeq.frontend.tflite_file import Operator
from edgeq.frontend.tflite_graph import BOTH, Growing, quant_of_tensor, shape_of
from edgeq.frontend.tflite_shapes import Reader, batched, numbers
from edgeq.ir import Quant, TensorType
from edgeq.ops.arg_max import OUTPUT_QUANT, ArgMax
from edgeq.ops.copies import Transpose
from edgeq.ops.embedding import Embedding
from edgeq.ops.functions import Neg
from edgeq.ops.table import Table

WHOLE = ("int32", "int64")
MIDDLE = 128  # of code 0 among the codes


def is_wide(g: Growing, op: Operator) -> bool:
    """Whether its output is whole numbers."""
    return len(op.outputs) == 1 and g.output(op).dtype in WHOLE


def _wide(g: Growing, op: Operator, place: int) -> tuple[str, int]:
    """(the graph's tensor, what its codes are less by). Raises Refused for other tensors."""
    index, tensor = op.inputs[place], g.operand(op, place)
    if index in g.refused:
        raise FollowsRefused
    if index not in g.wide:
        raise Refused(f"{tensor.name!r} is {tensor.dtype}, which no ARG_MAX or CAST makes of codes")
    return g.wide[index]


def _arg_max(g: Growing, op: Operator) -> None:
    """The first of equal values, over any axis but the batch; its numbers are the graph's own."""
    shape, (axis, *more) = batched(g.operand(op, 0)), numbers(g, op, 1)
    axis = axis + len(shape) if axis < 0 else axis - 1
    if more or not 0 <= axis < len(shape):
        raise Refused(f"it looks along axis {axis + 1} of {[1, *shape]}")
    source = g.value(op, 0)
    if op.op == "ARG_MIN":  # the largest of what is negated, which this zero point does exactly
        quant = quant_of_tensor(g.operand(op, 0))
        turned = Quant(quant.scale, -1 - quant.zero_point)
        source = g.between(op, "Neg", Neg(), source, "turned", turned)
    if axis < len(shape) - 1:
        perm = (*(i for i in range(len(shape)) if i != axis), axis)
        source = g.between(op, "Transpose", Transpose(perm), source, "last")
    g.add(op, "ArgMax", ArgMax(), (source,), quant=OUTPUT_QUANT)
    g.wide[op.outputs[0]] = g.names[op.outputs[0]], -OUTPUT_QUANT.zero_point


def _cast(g: Growing, op: Operator) -> None:
    if is_wide(g, op):
        index = op.inputs[0]
        whole = g.operand(op, 0).dtype in WHOLE
        g.wide[op.outputs[0]] = _wide(g, op, 0) if whole else (g.value(op, 0, BOTH), 0)
        if index in g.names and whole:
            g.names[op.outputs[0]] = g.names[index]
        return
    source, by = _wide(g, op, 0)
    if (
        by
        or g.tensors[source].dtype != "int8"
        or g.tensors[source].quant != quant_of_tensor(g.output(op))
    ):
        raise Refused("it makes codes of whole numbers that are none of its output's scale")
    g.renamed(op, source)


def wide_sum(g: Growing, op: Operator) -> None:
    """A whole number and one constant."""
    constants = [g.file.is_constant(g.operand(op, i)) for i in (0, 1)]
    if sum(constants) != 1:
        raise Refused("it adds whole numbers other than one constant")
    place = constants.index(True)
    value = numbers(g, op, place)
    if len(value) != 1 or op.option(0, "b"):
        raise Refused(f"it adds {len(value)} whole numbers, or has a fused activation")
    source, by = _wide(g, op, 1 - place)
    g.wide[op.outputs[0]] = source, by + value[0]


def wide_bound(g: Growing, op: Operator) -> None:
    """Ids held inside a table, as exports write it: what an Embedding does anyway."""
    place = 0 if g.file.is_constant(g.operand(op, 0)) else 1
    source, by = _wide(g, op, 1 - place)
    ends = numbers(g, op, place)
    if by or len(ends) != 1 or (op.op == "MAXIMUM" and ends != [0]):
        raise Refused(f"it holds whole numbers by {ends[:8]}; ids of a table are held from 0 on")
    g.wide[op.outputs[0]] = source, by
    if op.op == "MINIMUM":
        g.bounds[op.outputs[0]] = ends[0]
    elif op.inputs[1 - place] in g.bounds:
        g.bounds[op.outputs[0]] = g.bounds[op.inputs[1 - place]]


def wide_shape(g: Growing, op: Operator) -> None:
    """Whole numbers under another shape."""
    source, by = _wide(g, op, 0)
    if g.operand(op, 0).size != g.output(op).size:
        raise Refused(f"it makes {list(g.output(op).shape)} of {list(g.operand(op, 0).shape)}")
    made = g.reshaped(op, source, shape_of(g.output(op)))
    g.wide[op.outputs[0]] = made, by
    if op.inputs[0] in g.names:
        g.names[op.outputs[0]] = made


def is_lookup(g: Growing, op: Operator) -> bool:
    """Whether a GATHER reads a constant at computed places."""
    return len(op.inputs) > 1 and op.inputs[1] in g.wide and g.file.is_constant(g.operand(op, 0))


def looked_up(g: Growing, op: Operator) -> None:
    """The table of a function of one number, as edgeq's exports have it (CAST, ADD, GATHER)."""
    table, (source, by) = g.operand(op, 0), _wide(g, op, 1)
    if g.tensors[source].dtype == "int16":
        return _embedded(g, op, 0, 1)
    if table.shape != (256,) or by != MIDDLE:
        raise Refused(f"it reads {list(table.shape)} constants at code + {by}; 256 at code + 128")
    made = quant_of_tensor(table)
    if made != quant_of_tensor(g.output(op)):
        raise Refused("its input and output have different scales")
    given = g.tensors[source].quant
    assert given is not None  # a tensor of codes
    codes = tuple(int(code) for code in g.constant(table))
    attrs = Table(codes, (given.per_tensor, made.per_tensor), (given.zero_point, made.zero_point))
    params = g.constants(op, {"table": np.array(codes, np.int8)}, {})
    return g.add(op, "Table", attrs, (source,), params)


def _embedded(g: Growing, op: Operator, table_at: int, ids_at: int) -> None:
    """Rows of a constant table by an input's whole numbers."""
    table, (source, by) = g.operand(op, table_at), _wide(g, op, ids_at)
    if by or g.tensors[source].dtype != "int16" or (op.op == "GATHER" and op.option(1, "i")):
        raise Refused("it reads rows by other numbers than those of an input")
    made = quant_of_tensor(table)
    if made != quant_of_tensor(g.output(op)):
        raise Refused("its input and output have different scales")
    axis = op.option(0, "i") if op.op == "GATHER" else 0
    if axis % max(len(table.shape), 1) or len(table.shape) != 2:
        raise Refused(
            f"it reads along axis {axis} of {list(table.shape)}; rows of a table are taken"
        )
    if g.bounds.get(op.inputs[ids_at], table.shape[0] - 1) != table.shape[0] - 1:
        raise Refused(
            f"its ids end at {g.bounds[op.inputs[ids_at]]}, its table has {table.shape[0]} rows"
        )
    kinds = {"table": TensorType(table.shape, "int8", made)}
    params = g.constants(op, {"table": g.constant(table)}, kinds)
    g.add(op, "Embedding", Embedding(), (source,), params)


def _embedding_lookup(g: Growing, op: Operator) -> None:
    _embedded(g, op, 1, 0)


PLACE_READERS: Mapping[str, Reader] = {
    "ARG_MAX": _arg_max,
    "ARG_MIN": _arg_max,
    "CAST": _cast,
    "EMBEDDING_LOOKUP": _embedding_lookup,
}
