"""Writes what a profile leaves in its folder: profile.json, profile.txt and report.html."""

import io
import json
from pathlib import Path

from edgeq.errors import BadInput
from edgeq.extras import installed
from edgeq.files import write_file
from edgeq.harness.profile_summary import Summary
from edgeq.harness.trace import Run
from edgeq.plain_text import command, one_line
from edgeq.reporting.figures.figure import ReportedRun
from edgeq.reporting.page import EXTRA, page
from edgeq.reporting.profile_text import profile_text
from edgeq.reporting.terminal import console

WIDTH = 140
PAGE = "report.html"


def write_results(folder: Path, run: Run, summary: Summary) -> None:
    """All texts are made before the first is written. Raises BadInput when the folder is closed.

    Without the plotting library there is no page, and none of an earlier run stays.
    """
    files = {
        "profile.json": json.dumps(summary.entry, indent=2) + "\n",
        "profile.txt": _plain(summary),
    }
    if can_draw():
        files[PAGE] = page([ReportedRun(run, summary)])
    for name, text in files.items():
        write_file(folder / name, text.encode())
    try:
        if PAGE not in files:
            (folder / PAGE).unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write into {folder}: {error.strerror}") from error


def can_draw() -> bool:
    """Whether the plotting library is installed."""
    return installed("plotly")


def written_line(folder: Path, run: str) -> str:
    """What a profile says of its files."""
    place = one_line(str(folder))
    if can_draw():
        return f"written to {place}: profile.json, profile.txt, {PAGE}"
    return (
        f"written to {place}: profile.json, profile.txt; for the page with figures: {EXTRA}, then "
        f"{command('edgeq', 'report', run, '--html', PAGE)}"
    )


def _plain(summary: Summary) -> str:
    file = io.StringIO()
    console(file=file, width=WIDTH, color_system=None).print(
        profile_text(summary, verbose=True), crop=False
    )
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"
