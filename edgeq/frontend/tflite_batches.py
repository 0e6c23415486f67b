"""SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND around a convolution: how dilation was written once.

The map's cells, every so many of each axis, became rows of the batch, and a convolution ran on each
row; together they are the convolution with that dilation, which is what is read.
"""

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.tflite_file import Operator
from edgeq.frontend.tflite_graph import GivenMap, Growing, Padding, Pair

MOST_BLOCK = 4096


def space_to_batch(g: Growing, op: Operator) -> None:
    """Leaves the map to the convolution that reads its rows."""
    name, given = g.map(op)
    g.same_scale(op)
    block, ends = _pair(g, op, 1), _ends(g, op)
    padding = (ends[0], ends[2], ends[1], ends[3])
    size = [n + ends[2 * i] + ends[2 * i + 1] for i, n in enumerate(given.size)]
    if any(n % b for n, b in zip(size, block, strict=True)):
        raise Refused(f"a map of {size} does not come apart into blocks of {list(block)}")
    wanted = (block[0] * block[1], size[0] // block[0], size[1] // block[1], given.channels)
    if g.output(op).shape != wanted:
        raise Refused(f"it makes {list(g.output(op).shape)}, not {list(wanted)}")
    g.rows[op.outputs[0]] = name, GivenMap(given.size, given.channels, padding, block)


def batch_to_space(g: Growing, op: Operator) -> None:
    """The convolution in front of it has made its output."""
    if op.outputs[0] not in g.names:
        raise Refused("no convolution of a SPACE_TO_BATCH_ND stands in front of it")


def together(g: Growing, op: Operator, given: GivenMap) -> tuple[Operator, Padding]:
    """The operator that puts together the rows that the convolution `op` makes of a map apart, and
    the padding that is left of the map's once that one has cropped.
    """
    index = op.outputs[0]
    readers = [other for other in g.subgraph.operators if index in other.inputs]
    alone = len(readers) == 1 and index not in g.subgraph.outputs
    if not alone or readers[0].op != "BATCH_TO_SPACE_ND":
        raise Refused("it is on a SPACE_TO_BATCH_ND, and no BATCH_TO_SPACE_ND alone reads it")
    end = readers[0]
    g.same_scale(end)
    if _pair(g, end, 1) != given.blocks:
        raise Refused(f"{end.op} has other blocks than the SPACE_TO_BATCH_ND before it")
    crops = _ends(g, end)
    top, left, bottom, right = given.padding
    rest = (top - crops[0], left - crops[2], bottom - crops[1], right - crops[3])
    if min(rest) < 0:
        raise Refused(f"{end.op} crops more than was padded")
    return end, rest


def _pair(g: Growing, op: Operator, place: int) -> Pair:
    values = np.asarray(g.constant(g.operand(op, place))).ravel().tolist()
    if len(values) != 2 or not all(1 <= n <= MOST_BLOCK for n in values):
        raise Refused(f"it has blocks {values[:4]}; two are taken, of height and width")
    return values[0], values[1]


def _ends(g: Growing, op: Operator) -> tuple[int, int, int, int]:
    """Before and behind, of the height, then of the width."""
    values = np.asarray(g.constant(g.operand(op, 2))).ravel().tolist()
    if len(values) != 4 or not all(0 <= n <= MOST_BLOCK for n in values):
        raise Refused(f"it has ends {values[:4]}")
    return values[0], values[1], values[2], values[3]
