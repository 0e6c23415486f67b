"""LogSoftmax: graphs as calls, and tables that bring an answer to the turn of a step."""

from collections.abc import Iterator

import numpy as np

from edgeq.ir import TensorType
from edgeq.ops import OPS
from edgeq.ops.log_softmax import FRACTION_BITS, LOG_TABLE, LogSoftmax
from edgeq.ops.op import Io
from tests.kernels.differential import shapes
from tests.kernels.differential.case import Call, Case, Const, Out, Pointer, Struct

NAME = "edgeq_log_softmax_s8"


def _of(x: list[int], below: int, factor: int) -> Case:
    """One row; `below`: the exponential of a class one step under the largest."""
    table = np.full(256, below, np.uint16)
    table[0] = 1 << 15
    row = np.array([x], np.int8)
    t = TensorType(row.shape, "int8")
    params = {"exp_table": table, "factor": np.array([factor], np.int32)}
    wanted = OPS["LogSoftmax"].reference(LogSoftmax(), Io((t,), t), (row,), params)
    y = Out(wanted, initial=row)
    given = Pointer((Struct((Const(table), 1, len(x), factor)),))
    return Case(f"{NAME} {x}, {below}, {factor}", (Call(NAME, (given, y, y)),))


def cases() -> Iterator[Case]:
    """At each place of the table the last bit decides the second class's answer."""
    yield from shapes.cases(NAME)
    yield _of([-128, -128], 1000, 0)
    step = 1 << FRACTION_BITS
    for place, log in enumerate(LOG_TABLE[:-1]):
        turn = step - (log + step // 2) % step
        for factor in (turn - 1, turn):
            yield _of([0, -1], 1024 * place, factor)
            yield _of([7, 6], 1024 * place + 512, factor)
