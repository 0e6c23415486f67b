"""profile.json of a run: what `edgeq profile --json` printed, held to its form when read again."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edgeq.strict import Check, Finite, Share, Strict, Threshold, Whole, read_strict

NO_COUNTER = "none"
Pair = Annotated[list[Finite], Field(min_length=2, max_length=2)]
Names = list[str]


class Latency(Strict):
    """Milliseconds, or None where nothing ran or nothing was counted."""

    source: str
    mean: Finite | None
    std: Finite | None
    p50: Finite | None
    p95: Finite | None
    p99: Finite | None
    max: Finite | None

    @model_validator(mode="after")
    def _all_or_none(self) -> "Latency":
        values = (self.mean, self.std, self.p50, self.p95, self.p99, self.max)
        if len({value is None for value in values}) > 1:
            raise ValueError("either every value of it is a number, or none is")
        return self


class MeasuredExpert(Strict):
    """An expert's part of a measured energy."""

    name: str
    joules_mean: float | None
    band: list[float] | None = Field(min_length=2, max_length=2)
    net_joules_mean: float | None
    coulombs_mean: float | None
    inferences: Whole


class Energy(Strict):
    """Modelled, or measured in `windows`."""

    source: str
    kind: Literal["measured", "datasheet"] | None = None
    joules_mean: float | None
    band: list[float] | None = Field(min_length=2, max_length=2)
    coulombs_mean: float | None
    volts: Finite | None
    figures: str | None
    net_joules_mean: float | None = None
    idle_w: float | None = None
    experts: tuple[MeasuredExpert, ...] = ()
    windows: list[dict[str, Any]] | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> "Energy":
        needed = [self.band, self.figures, self.coulombs_mean, self.volts]
        if self.windows is not None:
            needed += [self.joules_mean, self.net_joules_mean, self.idle_w]
        if (self.joules_mean is not None or self.windows is not None) and None in needed:
            raise ValueError("it has joules, but not all that belongs to them")
        return self


class Expert(Strict):
    """An expert of the mixture."""

    name: str
    count: Whole
    share: Share
    accuracy: Share | None
    latency: Latency
    energy_joules_mean: float | None


class Layer(Strict):
    """A layer; None where the board counts no cycles."""

    name: str
    op: str
    count: Whole
    cycles: Finite | None
    share: Finite | None


class Uncertainty(Strict):
    """What the router was unsure of."""

    mean: float
    mean_when_right: float | None
    mean_when_wrong: float | None


class Confusion(Strict):
    """Counts (label, answer)."""

    classes: Names
    matrix: list[list[Whole]]

    @model_validator(mode="after")
    def _is_square(self) -> "Confusion":
        if {len(self.classes)} != {len(self.matrix), *map(len, self.matrix)} and self.classes:
            raise ValueError("it has not one row and column a class")
        return self


class Buffer(Strict):
    """A place in the arena, held from step `first` to step `last`."""

    name: str
    bytes: Whole
    offset: Whole
    first: Whole
    last: Whole


class Memory(Strict):
    """Where the model's bytes stand."""

    flash: dict[str, Whole] = Field(default_factory=dict)
    arena_bytes: Whole
    arena_expert: str | None
    steps: Names
    buffers: list[Buffer]


class Constants(Strict):
    """What the clock model rests on."""

    flash_wait_states: Whole = 0


class Export(Strict):
    """What the export said of itself."""

    target: str
    checks: list[Check]
    notes: Names
    threshold: Threshold | None = None


class Reconstruction(Strict):
    """Squared errors of an autoencoder, and how well they tell odd rows from normal ones."""

    mse: Finite
    mse_normal: Finite | None
    mse_odd: Finite | None
    auc: Share | None


Interval = Annotated[list[float], Field(min_length=2, max_length=2)] | None


class AloneFigures(Strict):
    """Accuracy and cost on the rows of the run."""

    accuracy: Share
    cycles: Finite | None
    latency_ms: Finite | None
    joules: Finite | None


class AloneExpert(AloneFigures):
    """An expert that answers every row itself."""

    name: str


class Gain(Strict):
    """The run against the best single expert."""

    against: str
    accuracy: float
    accuracy_interval: Interval
    cost: float | None
    cost_interval: Interval
    beaten_by: str | None
    shown: bool
    said: str


class AloneTable(Strict):
    """Each expert alone, the best, the oracle, the gain."""

    rows: Whole
    clusters: Whole
    experts: list[AloneExpert]
    mixture: AloneFigures
    best: str
    oracle: AloneFigures
    gain: Gain


class Signal(Strict):
    """How well a doubt tells errors."""

    of: str
    signal: str
    errors: Whole
    auroc: Share | None
    interval: Interval


class Summary(Strict):
    """The whole object."""

    samples: Annotated[int, Field(gt=0, lt=2**32)]
    accuracy: Share | None
    macro_f1: Share | None
    task: Literal["classification", "regression", "autoencoder", "unlabelled"] = "classification"
    reconstruction: Reconstruction | None = None
    mismatches: Whole
    mismatch_samples: list[Whole]
    latency: Latency
    experts: list[Expert]
    layers: list[Layer]
    energy: Energy
    routes: dict[str, Whole]
    uncertainty: Uncertainty | None
    confusion: Confusion
    stack_bytes: Whole | None
    board: str
    evidence: Literal["silicon", "emulator", "compiled"] | None
    clock_hz: Annotated[int, Field(gt=0, lt=2**63)]
    model: str
    model_digest: str
    firmware_digest: str
    compiler: str | None
    flags: Names | None
    notes: Names
    memory: Memory | None = None
    export: Export | None = None
    alone: AloneTable | None = None
    signals: list[Signal] = Field(default_factory=list)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "Summary":
        if (self.latency.source == NO_COUNTER) != (self.latency.mean is None):
            raise ValueError("latency and its source do not agree")
        if bool(self.experts) != (self.uncertainty is not None):
            raise ValueError("experts and uncertainty do not agree")
        if (self.task == "classification") == (self.accuracy is None or self.macro_f1 is None):
            raise ValueError("the task and the accuracy do not agree")
        return self


def read_summary(path: Path) -> dict[str, Any] | None:
    """The object in `path`, checked; None without one. Raises ValueError, OSError."""
    try:
        return read_strict(path, Summary)[1]
    except FileNotFoundError:
        return None
