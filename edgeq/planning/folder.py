"""The run folder of a study: where it stands, and what its manifest says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeq.errors import BadInput
from edgeq.planning.rows import Rows
from edgeq.reporting.figures import Figure
from edgeq.reporting.study import (
    FORMAT,
    PAGE,
    VERSION,
    Row,
    StudyManifest,
    next_folder,
    write_study,
)
from edgeq.reporting.study_page import PageTable, study_page
from edgeq.run_manifest import session_of_now

STUDIES = Path("build/studies")
NO_PAGE = "no page: plotly is not installed; pip install 'edgeq[report]'"


@dataclass(frozen=True)
class Told:
    """What a study has found, for its folder: the object of --json, its table, and its page."""

    kind: str
    result: Mapping[str, Any]
    keys: tuple[str, ...]
    table: Sequence[Row]
    title: str
    said: Sequence[str]
    figures: Sequence[Figure]
    tables: Sequence[PageTable]
    notes: Sequence[str] = ()


def check_free(run: str | Path | None) -> None:
    """BadInput for a folder that was asked for and is not empty; None is the next one."""
    folder = STUDIES if run is None else Path(run)
    try:
        taken = run is not None and folder.exists() and any(folder.iterdir())
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot write into {folder}: {error}; choose another --run") from None
    if taken:
        raise BadInput(f"{folder} is not empty; give --run another folder")


def place(run: str | Path | None) -> Path:
    """The folder that was asked for, or the next below build/studies; made.

    BadInput for one that cannot be made.
    """
    if run is None:
        return next_folder(STUDIES)
    folder = Path(run)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make {folder}: {error.strerror or error}") from None
    return folder


def write(
    folder: Path, told: Told, *, digest: str | None, data: str | None, rows: int | None
) -> str | None:
    """Writes the folder; the page's path, None where plotly is not installed."""
    result = told.result
    manifest = StudyManifest(
        format=FORMAT,
        version=VERSION,
        kind=told.kind,
        session=session_of_now(),
        model=str(result["model"]),
        model_digest=digest,
        board=result.get("board"),
        data=data,
        rows=rows,
        keys=told.keys,
    )
    page = study_page(told.title, told.said, told.notes, told.figures, told.tables)
    write_study(folder, manifest, told.table, result, page)
    return None if page is None else str(folder / PAGE)


def kept(run: str | Path | None, told: Told, given: Rows) -> dict[str, Any]:
    """The study in its folder; its result, with the folder `run` and the `page`."""
    folder, result = place(run), dict(told.result)
    rows = result.get("rows")
    page = write(folder, told, digest=given.digest, data=given.source, rows=rows)
    return result | {"run": str(folder), "page": page}
