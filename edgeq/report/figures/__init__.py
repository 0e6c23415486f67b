"""The figures of a report: one file each; a figure that a run has no numbers for is left out."""

from edgeq.report.figures.confusion import confusion
from edgeq.report.figures.current import currents
from edgeq.report.figures.figure import Figure, Subject
from edgeq.report.figures.latency import against_uncertainty, distribution
from edgeq.report.figures.layers import layers
from edgeq.report.figures.memory import arena, flash
from edgeq.report.figures.pareto import pareto
from edgeq.report.figures.routes import shares, uncertainty

__all__ = ["Figure", "Subject", "figures_of", "pareto"]


def figures_of(subject: Subject) -> list[Figure]:
    """In the order of the page."""
    made = (
        distribution(subject),
        shares(subject),
        uncertainty(subject),
        against_uncertainty(subject),
        confusion(subject),
        layers(subject),
        *currents(subject),
        flash(subject),
        arena(subject),
    )
    return [figure for figure in made if figure is not None]
