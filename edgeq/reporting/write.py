"""`edgeq report`: the page, its PNGs, and what was written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from edgeq.files import scratch_folder, write_file
from edgeq.reporting.browser import Tab, browser_tab
from edgeq.reporting.figures.figure import ReportedRun
from edgeq.reporting.page import page
from edgeq.reporting.run import finished_run

WIDTH = 1280  # of the window, in CSS pixels
SCALE = 2  # pixels of a PNG for each


def read_subjects(runs: Sequence[str | Path]) -> list[ReportedRun]:
    """The finished runs of these folders; BadInput for one that is none."""
    return [ReportedRun(*finished_run(path)) for path in runs]


def write_report(
    subjects: Sequence[ReportedRun], html: Path | None = None, png: Path | None = None
) -> list[str]:
    """Writes the page, and PNGs: one of the whole page (FILE.png), or one a figure (a folder).

    Returns the files. Raises Toolchain without plotting library or browser, BadInput for a place
    that takes no files; then nothing is left half-written.
    """
    if html is None and png is None:
        return []
    text = page(subjects).encode()
    files: dict[Path, bytes] = {} if html is None else {html: text}
    if png is not None:
        files |= _pictures(text, png)
    for path, data in files.items():
        write_file(path, data, parents=True)
    return [str(path) for path in files]


def report_json(subjects: Sequence[ReportedRun], written: Sequence[str]) -> dict[str, Any]:
    """The object of `edgeq report --json`."""
    runs = [{"folder": str(s.run.folder), "summary": s.summary.entry} for s in subjects]
    return {"runs": runs, "written": list(written)}


def _pictures(text: bytes, png: Path) -> dict[Path, bytes]:
    with scratch_folder() as folder, browser_tab() as tab:
        file = folder / "report.html"
        file.write_bytes(text)
        tab.show(file, WIDTH, scale=SCALE)
        if png.suffix.lower() == ".png":
            return {png: tab.picture()}
        return {png / f"{name}.png": tab.picture(box) for name, box in _boxes(tab).items()}


def _boxes(tab: Tab) -> dict[str, dict[str, float]]:
    """Where each figure stands in the page."""
    found = tab.ask(
        "Object.fromEntries([...document.querySelectorAll('figure')].map(figure => {"
        " const box = figure.getBoundingClientRect();"
        " return [figure.id, {x: box.x + scrollX, y: box.y + scrollY,"
        " width: box.width, height: box.height}]; }))"
    )
    return cast(dict[str, dict[str, float]], found)
