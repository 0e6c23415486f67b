"""What a run of an emitted file gives."""

from dataclasses import dataclass

from edgeq.ops.op import Array


@dataclass(frozen=True)
class OnnxRun:
    """output: float logits (rows, ...); without a mixture route is -1 and uncertainty 0."""

    output: Array
    route: Array
    uncertainty: Array


@dataclass(frozen=True)
class TfliteRun:
    """Per row: logits int8, route int64 (-1 without a mixture), uncertainty int64 in steps of
    `uncertainty_scale` (0 for a plain router).
    """

    logits: Array
    route: Array
    uncertainty: Array
    uncertainty_scale: float
