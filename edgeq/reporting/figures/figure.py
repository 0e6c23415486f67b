"""A figure of the report, before it is drawn."""

from dataclasses import dataclass
from typing import Any

from edgeq.emit.firmware_layers import CASCADE_OP
from edgeq.harness.profile_summary import Summary
from edgeq.harness.trace import Run


@dataclass(frozen=True)
class Figure:
    """`plot` is plotly's JSON: data and layout. `wide` figures take a row of the page alone."""

    key: str  # [a-z_]+, the figure's name in the page and of its PNG
    title: str
    caption: str
    source: str
    plot: dict[str, Any]
    wide: bool = False


@dataclass(frozen=True)
class ReportedRun:
    """What a figure is made of: a finished run and the object of `edgeq profile --json`."""

    run: Run
    summary: Summary

    @property
    def experts(self) -> list[str]:
        """Names by route; none without a mixture."""
        return [e.name for e in self.summary.experts]

    @property
    def doubt(self) -> str:
        """What the uncertainty of a record is."""
        cascaded = any(layer.op == CASCADE_OP for layer in self.summary.layers)
        return "cascade's signal" if cascaded else "router's uncertainty"

    @property
    def cycles_per_ms(self) -> float:
        return float(self.summary.clock_hz) / 1e3

    @property
    def routes(self) -> list[tuple[int, str]]:
        """(route, name) of each expert, or of the one path that there is."""
        return list(enumerate(self.experts)) or [(-1, "every input")]
