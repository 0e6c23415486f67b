"""Where each figure comes from, in words: silicon, modelled, counted or exact."""

from typing import Any

from edgeq.harness.profile_summary import Summary
from edgeq.harness.trace import Run
from edgeq.reporting.energy_words import energy_words


def build(summary: Summary) -> str:
    """Compiler and the flags that change speed."""
    if not summary.compiler:
        return "compiler unknown"
    flags = [f for f in summary.flags or () if f.startswith(("-O", "-D", "-mcpu", "-mfpu"))]
    return " ".join([summary.compiler, *flags])


def latency_source(run: Run, summary: Summary) -> str:
    """Who counted the cycles, and of what build."""
    kind = summary.latency.source
    board = run.manifest.board
    core, clock = board.get("core", "unknown core"), f"{summary.clock_hz / 1e6:g} MHz"
    words = {
        "silicon": f"silicon: the cycle counter of {summary.board}",
        "modelled": f"modelled: timing rules of {core}{_constants(board)}",
        "unverified": f"unverified: the cycle counter of {summary.board}, no silicon recorded",
        "none": f"{summary.board} counts no cycles",
    }
    return f"{words.get(kind, kind)}, {clock}; {build(summary)}"


def _constants(board: dict[str, Any]) -> str:
    """Those of the board that the model takes, as the manifest kept them."""
    if board.get("flash") is None:
        return ""
    extra, waits = board.get("first_load_extra", 0), board["flash"]["wait_states"]
    return f", {board['name']}: first_load_extra {extra}, {waits} flash wait states"


def energy_source(summary: Summary) -> str:
    """Measured, or modelled with its band and the board file's figures."""
    energy = summary.energy
    if energy.joules_mean is None:
        return "no energy figures"
    if energy.windows is not None:  # measured, or a rehearsal with the model meter
        return f"{energy.source}: {energy.figures}; {build(summary)}"
    words = energy_words(energy.source, energy.kind)
    return f"{words}: cycles x energy per cycle; {energy.figures}"
