"""L2Normalize: graphs as calls, and rows whose sum of squares is at every length of its 31 bits."""

from collections.abc import Iterator

import numpy as np

from edgeq.ir import Quant, TensorType
from edgeq.ops import OPS
from edgeq.ops.l2_normalize import MOST_FEATURES, L2Normalize
from edgeq.ops.op import Io
from tests.kernels import samples
from tests.kernels.differential import shapes
from tests.kernels.differential.case import Call, Case, Out, Pointer, Struct

NAME = "edgeq_l2_normalize_s8"


def _case(label: str, x: samples.Array, zero_point: int) -> Case:
    """In place, as its row of the table allows."""
    t = TensorType(x.shape[1:], "int8", Quant((0.1,), zero_point))
    wanted = OPS["L2Normalize"].reference(L2Normalize(), Io((t,), t), (x,), {})
    y = Out(wanted, initial=x)
    given = Struct((*x.shape, zero_point))
    return Case(f"{NAME} {label}", (Call(NAME, (Pointer((given,)), y, y)),))


def _of_steps(steps: list[int], zero_point: int) -> samples.Array:
    return np.array(steps, np.int64).astype(np.int8) + np.int8(zero_point)


def cases() -> Iterator[Case]:
    yield from shapes.cases(NAME)
    for steps in ([0, 0, 0], [1, 0, 0], [0, -1, 0], [1, 1, 0], [2, 0, 0], [-2, 1, 1]):
        yield _case(f"{steps}", _of_steps(steps, 5)[None], 5)
    rng = np.random.default_rng(6)
    for power in range(15):  # 4^power: the least of its length, and what lies around it
        count = max(1 << max(2 * power - 12, 0), 1)
        size = 1 << min(power, 6)
        rows = np.tile(_of_steps([size], -3), (3, count + 1))
        rows[:, 0] = -3, -2, -1
        yield _case(f"sums of 4^{power}", rows, -3)
        spread = rng.integers(-128, 128, (2, 4 * count)).astype(np.int8)
        yield _case(f"{4 * count} features", spread, int(rng.integers(-128, 128)))
    for zero_point in (-128, 127):
        x = np.full((1, MOST_FEATURES), -1 - zero_point, np.int8)
        yield _case(f"the largest sum at {zero_point}", x, zero_point)
