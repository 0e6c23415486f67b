"""A study as one page: figures and tables, offline, with the look of the report."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edgeq.errors import Toolchain
from edgeq.reporting.figures import Figure
from edgeq.reporting.page import HERE, in_script, library_text, page_environment

TEMPLATE = "study.html.j2"


@dataclass(frozen=True)
class PageTable:
    """Cells as text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def study_page(
    title: str,
    said: Sequence[str],
    notes: Sequence[str],
    figures: Sequence[Figure],
    tables: Sequence[PageTable],
) -> str | None:
    """The page; None where plotly is not installed (extra `edgeq[report]`)."""
    try:
        library = library_text()
    except Toolchain:
        return None
    return (
        page_environment()
        .get_template(TEMPLATE)
        .render(
            title=title,
            style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
            script=Markup((HERE / "page.js").read_text(encoding="utf-8")),
            said=list(said),
            notes=list(notes),
            figures=figures,
            tables=tables,
            plots=Markup(in_script({f"{f.key}-plot": f.plot for f in figures})),
            library=Markup(library),
        )
    )
