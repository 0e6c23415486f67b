"""The figures of a report: one file each; a figure that a run has no numbers for is left out."""

from edgeq.reporting.figures.confusion import confusion
from edgeq.reporting.figures.current import currents
from edgeq.reporting.figures.figure import Figure, ReportedRun
from edgeq.reporting.figures.latency import against_uncertainty, distribution
from edgeq.reporting.figures.layers import layers
from edgeq.reporting.figures.memory import arena, flash
from edgeq.reporting.figures.pareto import pareto
from edgeq.reporting.figures.routes import shares, uncertainty
from edgeq.reporting.figures.threshold import thresholds

__all__ = ["Figure", "ReportedRun", "figures_of", "pareto"]


def figures_of(subject: ReportedRun) -> list[Figure]:
    """In the order of the page."""
    made = (
        distribution(subject),
        shares(subject),
        uncertainty(subject),
        against_uncertainty(subject),
        confusion(subject),
        layers(subject),
        *thresholds(subject),
        *currents(subject),
        flash(subject),
        arena(subject),
    )
    return [figure for figure in made if figure is not None]
