"""`edgeq report`: runs as a page, as pictures, or as text."""

from pathlib import Path

import click

from edgeq.cli.options import json_option, verbose_option
from edgeq.cli.output import say, say_json, show, working
from edgeq.plain_text import one_line


@click.command(short_help="Runs as one page with figures, as PNGs, or as text.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--html", type=click.Path(path_type=Path), help="Write one self-contained page.")
@click.option(
    "--png",
    type=click.Path(path_type=Path),
    help="FILE.png: a picture of the page; else a folder: one a figure. Needs Chromium.",
)
@click.option("--text", is_flag=True, help="Print the text; without --html and --png the default.")
@verbose_option
@json_option
def report(
    runs: tuple[Path, ...],
    html: Path | None,
    png: Path | None,
    text: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Report of one run or several: a run's folder, or an export folder for its newest run.

    The page works offline and needs the extra `edgeq[report]`; the text needs nothing.
    """
    from edgeq.reporting.page import run_names
    from edgeq.reporting.report_text import report_text
    from edgeq.reporting.write import read_subjects, report_json, write_report

    subjects = read_subjects(runs)
    with working("drawing"):
        written = write_report(subjects, html, png)
    if as_json:
        say_json(report_json(subjects, written))
        return
    if text or not written:
        show(report_text(subjects, run_names(subjects), verbose))
    if written:
        say("\n".join(f"written: {one_line(path)}" for path in written))
