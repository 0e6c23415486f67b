"""How sure an answer is, as an integer of its int8 outputs: what a cascade decides by.

A signal is computed from an expert's outputs alone, the same on host, board and reference. Its
kernel is edgeq_<name>_s8; its forms stand in nn/signals.py, emit/onnx_signals.py and
emit/tflite_signals.py.
"""

from collections.abc import Mapping

import numpy as np

from edgeq.ops import entropy
from edgeq.ops.fixed_point import Int64
from edgeq.ops.op import Array, Params, Place, Role
from edgeq.ops.signal import Signal as Signal


def gap(logits: Array, _params: Params) -> Int64:
    """Largest less second largest output, in steps: 0 where two share the maximum, 255 at most."""
    ordered = np.sort(logits.reshape(len(logits), -1).astype(np.int64), axis=1)
    return np.asarray(ordered[:, -1] - ordered[:, -2])


def real_gap(logits: Array) -> Array:
    """The same of real outputs (rows, classes), in their own unit."""
    ordered = np.sort(logits.reshape(len(logits), -1), axis=1)
    return np.asarray(ordered[:, -1] - ordered[:, -2])


def no_constants(_scale: float) -> Mapping[str, Array]:
    return {}


GAP = Signal(
    name="gap",
    doubt=False,
    least=0,
    most=256,
    fraction_bits=0,
    step=lambda _: 1,
    of=gap,
    real=real_gap,
    unit=lambda scale: scale,
    roles=(),
    lower=no_constants,
)
ENTROPY = Signal(
    name="entropy",
    doubt=True,
    least=-1,  # below every entropy
    most=16 << entropy.FRACTION_BITS,  # above that of any number of classes
    fraction_bits=entropy.FRACTION_BITS,
    step=entropy.step,
    of=entropy.entropy,
    real=entropy.real_entropy,
    unit=lambda _: 2.0**-entropy.FRACTION_BITS,
    roles=(
        Role("exp_table", "uint16"),
        Role("multiplier", "int32", Place.INLINE),
        Role("shift", "int32", Place.INLINE),
    ),
    lower=entropy.lower,
)
SIGNALS: Mapping[str, Signal] = {signal.name: signal for signal in (GAP, ENTROPY)}
