"""LogSoftmax: graphs as calls, all scales, and differences that bring an answer to the turn of a
step, where the last bit of the logarithm decides.
"""

from collections.abc import Iterator

import numpy as np

from edgeq.ir import TensorType
from edgeq.ops import OPS
from edgeq.ops.gemmlowp import log_q26
from edgeq.ops.log_softmax import MOST_CLASSES, STEP_BITS, LogSoftmax, params_of
from edgeq.ops.op import Io, Params
from tests.kernels import samples
from tests.kernels.differential import shapes
from tests.kernels.differential.case import Call, Case, Const, Out, Pointer, Struct

NAME = "edgeq_log_softmax_s8"
INLINE = ("multiplier", "shift", "most")


def _case(label: str, x: samples.Array, params: Params) -> Case:
    t = TensorType(x.shape[1:], "int8")
    wanted = OPS["LogSoftmax"].reference(LogSoftmax(), Io((t,), t), (x,), params)
    y = Out(wanted, initial=x)
    numbers = (int(params[name][0]) for name in INLINE)
    given = Struct((Const(params["exp_q31"]), 1, x.shape[-1], *numbers))
    return Case(f"{NAME} {label}", (Call(NAME, (Pointer((given,)), y, y)),))


def _at_turns(classes: int, exponential: int) -> Iterator[Case]:
    """One class above others that are a step below it, as far as a half step and a bit less."""
    table = np.zeros(256, np.int32)
    table[:2] = 2**31 - 1, exponential
    total = 2**19 + (classes - 1) * ((exponential + 2**11) >> 12)
    log, x = int(log_q26(np.array(total))), np.full((1, classes), -1, np.int8)
    x[0, 0] = 0
    far = 1 << STEP_BITS
    turn = (-log + far // 2) % far
    for scaled in (turn - 1, turn, turn + 1):
        # half of a multiplier, whatever its last bit
        numbers = {"multiplier": 2 * max(scaled, 0), "shift": 30, "most": 255}
        params = {name: np.array([n], np.int32) for name, n in numbers.items()}
        label = f"{classes} classes, {exponential}, {scaled}"
        yield _case(label, x, {"exp_q31": table, **params})


def _of_scale(scale: float, classes: int, fill: str) -> Case:
    x = samples.activations(np.random.default_rng(classes), fill, (1, classes))
    return _case(f"{classes} classes, scale {scale}, {fill}", x, params_of(scale))


def cases() -> Iterator[Case]:
    yield from shapes.cases(NAME)
    for scale in (1e-9, 1e-3, 0.0784, 0.1, 0.9, 19.9, 30.0):
        for fill in samples.FILLS:
            yield _of_scale(scale, 9, fill)
    yield _of_scale(1e-9, MOST_CLASSES, "random")
    for power in range(12):
        for share in (0.02, 0.17, 0.19, 0.21, 0.4, 0.42, 0.68, 0.7, 0.97, 1.0):
            yield from _at_turns(1 + (1 << power), min(int(share * 2**31), 2**31 - 1))
