"""The summary of a profile: one value from the samples to the report, profile.json on disk."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edgeq.harness.stream_figures import StreamFigures
from edgeq.plain_text import plain
from edgeq.strict import (
    Check,
    Finite,
    PortEntry,
    Share,
    Strict,
    Threshold,
    Whole,
    read_strict,
)
from edgeq.task import ProfiledTask

NO_COUNTER = "none"
LATENCY_KEYS = ("mean", "std", "p50", "p95", "p99", "max")
VERSION: Literal[1] = 1  # of profile.json: another one is refused, not guessed at
Pair = Annotated[list[float], Field(min_length=2, max_length=2)]
Names = list[str]


class Latency(Strict):
    """Milliseconds, or None where nothing ran or nothing was counted."""

    unit: Literal["ms"]
    source: str
    mean: Finite | None
    std: Finite | None
    p50: Finite | None
    p95: Finite | None
    p99: Finite | None
    max: Finite | None

    @property
    def values(self) -> tuple[float | None, ...]:
        """In the order of `LATENCY_KEYS`."""
        return self.mean, self.std, self.p50, self.p95, self.p99, self.max

    @model_validator(mode="after")
    def _all_or_none(self) -> "Latency":
        if len({value is None for value in self.values}) > 1:
            raise ValueError("either every value of it is a number, or none is")
        return self


class MeasuredExpert(Strict):
    """An expert's part of a measured energy."""

    name: str
    joules_mean: float | None
    band: Pair | None
    net_joules_mean: float | None
    net_band: Pair | None
    coulombs_mean: float | None
    coulombs_band: Pair | None
    inferences: Whole


class MeasuredWindow(Strict):
    """The means of one window of a meter; joules an inference, the length in seconds."""

    inferences: Whole
    seconds: Finite
    joules_mean: float
    joules_std: Finite
    net_joules_mean: float
    coulombs_mean: float
    idle_w: float
    volts: Finite


class EnergyFigures(Strict):
    """Modelled, or measured in `windows`: of a mean inference, None where nothing is known."""

    source: str
    kind: Literal["measured", "datasheet"] | None = None
    joules_mean: float | None
    band: Pair | None
    net_joules_mean: float | None = None
    net_band: Pair | None = None
    coulombs_mean: float | None
    coulombs_band: Pair | None = None
    volts: Finite | None
    figures: str | None
    inferences: Whole | None = None
    idle_w: float | None = None
    weighted: bool | None = None
    experts: list[MeasuredExpert] = Field(default_factory=list)
    windows: list[MeasuredWindow] | None = None
    meter: str | None = None
    rate_hz: float | None = None
    modelled: "EnergyFigures | None" = None

    @model_validator(mode="after")
    def _is_whole(self) -> "EnergyFigures":
        needed = [self.band, self.figures, self.coulombs_mean, self.volts]
        if self.windows is not None:
            needed += [self.joules_mean, self.net_joules_mean, self.idle_w]
        if (self.joules_mean is not None or self.windows is not None) and None in needed:
            raise ValueError("it has joules, but not all that belongs to them")
        return self


class ExpertFigures(Strict):
    """An expert of the mixture."""

    name: str
    count: Whole
    share: Share
    accuracy: Share | None
    latency: Latency
    energy_joules_mean: float | None


class LayerFigures(Strict):
    """A layer; None where the board counts no cycles."""

    name: str
    op: str
    count: Whole
    cycles: Finite | None
    share: Finite | None


class Uncertainty(Strict):
    """What the router was unsure of; None where no answer was right, or wrong."""

    mean: float
    p50: float
    p95: float
    max: float
    mean_when_right: float | None
    mean_when_wrong: float | None
    confidence_mean: float


class Confusion(Strict):
    """Counts (label, answer)."""

    classes: Names
    matrix: list[list[Whole]]

    @model_validator(mode="after")
    def _is_square(self) -> "Confusion":
        if {len(self.classes)} != {len(self.matrix), *map(len, self.matrix)} and self.classes:
            raise ValueError("it has not one row and column a class")
        return self


class ArenaBuffer(Strict):
    """A place in the arena, held from step `first` to step `last`."""

    name: str
    bytes: Whole
    offset: Whole
    first: Whole
    last: Whole


class MemoryMap(Strict):
    """Where the model's bytes stand."""

    flash: dict[str, Whole]
    ram: dict[str, Whole]
    weight_bytes: Whole
    arena_bytes: Whole
    arena_expert: str | None
    steps: Names
    buffers: list[ArenaBuffer]


class ClockModel(Strict):
    """What a modelled cycle count rests on: the core's rules, the board file's constants."""

    rules: str
    constants: dict[str, int | float | bool | str]


class ProvenForm(Check):
    """An export's check with what it found in words; docs/proofs.md."""

    mean_lsb: float | None = None
    passed: bool = True
    said: str = ""
    counted: Whole | None = None
    filled: Whole = 0
    by: str | None = None
    routes: dict[str, Whole] | None = None
    forced: Whole = 0
    departs: str | None = None
    accepted: bool = False
    failed: str | None = None


class ExportFacts(Strict):
    """What the export said of itself."""

    target: str
    checks: list[ProvenForm]
    notes: Names
    threshold: Threshold | None = None
    inputs: list[PortEntry] | None = None  # None: an export of an edgeq that knew one of each
    outputs: list[PortEntry] | None = None
    state_bytes: Whole = 0

    @property
    def told(self) -> bool:
        """Whether the ends are more than one int8 input and output."""
        ports = [*(self.inputs or ()), *(self.outputs or ())]
        return len(ports) > 2 or self.state_bytes > 0 or any(p.dtype != "int8" for p in ports)

    @property
    def answer(self) -> str | None:
        """The output that classes and accuracy are of, where there are several."""
        several = self.outputs is not None and len(self.outputs) > 1
        return self.outputs[0].name if several and self.outputs else None


class Reconstruction(Strict):
    """Squared errors of an autoencoder, and how well they tell odd rows from normal ones."""

    mse: Finite
    mse_normal: Finite | None
    mse_odd: Finite | None
    auc: Share | None


class OutputErrors(Strict):
    """How far the answers are from their targets, in the output's own unit."""

    mae: Finite
    rmse: Finite


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
    accuracy_interval: Pair | None
    cost: float | None
    cost_interval: Pair | None
    beaten_by: str | None
    shown: bool
    said: str


class CurvePoint(AloneFigures):
    """What a threshold does to the rows; `share`: of those that the last stage is asked for."""

    share: Share
    disagreement: Share


class Curve(Strict):
    """Thresholds from the safest on, and the one that the export shipped."""

    signal: str
    against: str
    points: list[CurvePoint] = Field(min_length=1)
    shipped: CurvePoint


class AloneTable(Strict):
    """Each expert alone, the best, the oracle, the gain."""

    rows: Whole
    clusters: Whole
    experts: list[AloneExpert]
    mixture: AloneFigures
    best: str
    oracle: AloneFigures
    gain: Gain
    curve: Curve | None = None


class Signal(Strict):
    """How well a doubt tells errors."""

    of: str
    signal: str
    errors: Whole
    auroc: Share | None
    interval: Pair | None


class Summary(Strict):
    """The whole value. What has a default is there for some runs only."""

    version: Literal[1]
    samples: Annotated[int, Field(gt=0, lt=2**32)]
    task: ProfiledTask
    accuracy: Share | None
    macro_f1: Share | None
    reconstruction: Reconstruction | None = None
    errors: OutputErrors | None = None
    stream: StreamFigures | None = None
    mismatches: Whole
    mismatch_samples: list[Whole]
    latency: Latency
    experts: list[ExpertFigures]
    layers: list[LayerFigures]
    energy: EnergyFigures
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
    clock_model: ClockModel | None
    notes: Names
    memory: MemoryMap | None = None
    export: ExportFacts | None = None
    alone: AloneTable | None = None
    signals: list[Signal] = Field(default_factory=list)
    trace: str | None = None
    run: str | None = None  # the folder, as it was called when it was recorded
    link: dict[str, Whole] | None = None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "Summary":
        if (self.latency.source == NO_COUNTER) != (self.latency.mean is None):
            raise ValueError("latency and its source do not agree")
        if bool(self.experts) != (self.uncertainty is not None):
            raise ValueError("experts and uncertainty do not agree")
        if (self.task == "classification") == (self.accuracy is None or self.macro_f1 is None):
            raise ValueError("the task and the accuracy do not agree")
        return self

    @property
    def entry(self) -> dict[str, Any]:
        """The JSON object of `edgeq profile --json`."""
        return self.model_dump(mode="json", exclude_unset=True)

    @property
    def printable(self) -> "Summary":
        """The same, with every text of it harmless on a terminal."""
        return Summary.model_validate(plain(self.entry))

    @property
    def counts_cycles(self) -> bool:
        """False when the board has no cycle counter, so no latency and no energy."""
        return self.latency.source != NO_COUNTER

    def but(self, **changes: object) -> "Summary":
        """With other values, as JSON has them."""
        return Summary.model_validate({**self.entry, **changes})


def read_summary(path: Path) -> Summary | None:
    """The value in `path`; None without one. Raises ValueError, OSError."""
    try:
        return read_strict(path, Summary, VERSION)[0]
    except FileNotFoundError:
        return None
