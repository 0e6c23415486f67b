"""What to profile: one value from the command line's options to the command that resumes a run."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from edgeq.extras import require
from edgeq.harness.windows import LEAST_WINDOW_S, WINDOWS
from edgeq.metering import MODEL, MeterPlan
from edgeq.plain_text import command


@dataclass(frozen=True)
class ProfileRequest:
    """What to profile; each field is the option of `edgeq profile` that has its name.

    None: the one board there is, the stored set, the next run of the folder, the meter's only port,
    its own rate, its default volts.
    """

    firmware: Path = Path("build/export")
    port: str | None = None
    probe: str | None = None
    run: Path | None = None
    data: Path | None = None
    trace: Path | None = None
    parquet: Path | None = None
    limit: int | None = None
    baud: int = 115200
    meter: str = MODEL
    meter_port: str | None = None
    volts: float | None = None
    meter_rate: int | None = None
    windows: int = WINDOWS
    window_seconds: float = LEAST_WINDOW_S
    resume: bool = False
    stream: Path | None = None
    hop: int | None = None
    place: str | None = None
    coordinator: str | None = None
    labgrid: Path | None = None

    @property
    def plan(self) -> MeterPlan:
        """The part that the meter needs."""
        return MeterPlan(
            self.meter,
            self.meter_port,
            self.volts,
            self.meter_rate,
            self.windows,
            self.window_seconds,
        )

    def check(self) -> None:
        """Raises Toolchain when what is asked needs Parquet and pyarrow is not installed."""
        if self.parquet is not None:
            require("parquet", "--parquet")
        if self.meter != MODEL:
            require("parquet", f"--meter {self.meter}, whose samples are kept as Parquet,")

    def resume_command(self, run: Path) -> str:
        """The command line that continues `run`."""
        words = ["edgeq", "profile"]
        asked = dataclasses.replace(self, run=run, resume=False)
        for field in dataclasses.fields(asked):
            value = getattr(asked, field.name)
            if field.name == "firmware" or value != field.default:
                words += [f"--{field.name.replace('_', '-')}", str(value)]
        return command(*words, "--resume")
