"""What a profile says of a model that takes hops of a stream."""

from typing import Annotated

from pydantic import Field

from edgeq.strict import Finite, Strict, Whole


class FrameUncertainty(Strict):
    """Of the answers of a stream."""

    mean: Finite
    p95: Finite
    max: Finite


class StreamFigures(Strict):
    """Of a model that takes hops: a sample is one. Cycles are None where the board counts none,
    times without a period, joules without the board's figures; the last three without experts.
    `switches`: answers by another expert than the one before.
    """

    hop: Annotated[int, Field(gt=0)]
    window: Annotated[int, Field(gt=0)]
    lookahead: Whole
    period_s: Finite | None
    hops: Whole
    answers: Whole
    changes: Whole
    cycles_a_hop: Finite | None
    cycles_a_frame: Finite | None
    worst_cycles: Whole | None
    worst_hop: Whole | None
    duty_cycle: Finite | None
    worst_share: Finite | None
    joules_a_second: Finite | None
    joules_band: Annotated[list[float], Field(min_length=2, max_length=2)] | None
    idle_counted: bool
    routes: dict[str, Whole] | None = None
    switches: Whole | None = None
    uncertainty: FrameUncertainty | None = None
