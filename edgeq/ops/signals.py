"""How sure an answer is, as an integer of int8 numbers: what a cascade decides by.

A signal is computed from an expert's outputs or from heads beside them, the same on host, board and
reference. Its forms stand in nn/signals.py, emit/onnx_signals.py and emit/tflite_signals.py.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgeq.ops import entropy, heads
from edgeq.ops.fixed_point import Int64
from edgeq.ops.op import Array, Params, Place, Role
from edgeq.ops.signal import Signal as Signal


def gap(logits: Array, _params: Params) -> Int64:
    """Largest less second largest output, in steps: 0 where two share the maximum, 255 at most."""
    return heads.top_two(logits.reshape(len(logits), -1).astype(np.int64))


def real_gap(logits: Array) -> Array:
    """The same of real outputs (rows, classes), in their own unit."""
    return heads.top_two(logits.reshape(len(logits), -1))


def no_constants(_scale: float, _heads: int) -> Mapping[str, Array]:
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
    kernel="edgeq_gap_s8",
    heads=False,
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
    kernel="edgeq_entropy_s8",
    heads=False,
)
MONTE_CARLO = Signal(
    name="monte_carlo",
    doubt=True,
    least=-1,
    most=4 << heads.SPREAD_BITS,  # a variance is 2 at most
    fraction_bits=heads.SPREAD_BITS,
    step=heads.spread_step,
    of=heads.spread,
    real=heads.real_spread,
    unit=lambda _: 2.0**-heads.SPREAD_BITS,
    roles=(Role("exp_table", "uint16"), Role("factor", "int64", Place.INLINE)),
    lower=heads.lower_spread,
    kernel="edgeq_spread_s8",
    heads=True,
)
ENSEMBLE = Signal(
    name="ensemble",
    doubt=False,
    least=0,
    most=256 * heads.MOST_HEADS,
    fraction_bits=0,
    step=lambda _: 2,  # heads do not round alike
    of=heads.ensemble,
    real=heads.real_ensemble,
    unit=lambda scale: scale,
    roles=(),
    lower=no_constants,
    kernel="edgeq_ensemble_s8",
    heads=True,
)
ROUTER = replace(MONTE_CARLO, name="router")
SIGNALS: Mapping[str, Signal] = {
    signal.name: signal for signal in (GAP, ENTROPY, MONTE_CARLO, ENSEMBLE, ROUTER)
}
