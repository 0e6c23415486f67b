"""The folder of a study (plan, inspect, pareto, search): what `edgeq compare` reads of two.

    manifest.json   what was asked, of which model, on which data and board, by which edgeq
    table.parquet   its rows; the manifest says which columns name one
    result.json     the object of --json
    page.html       the same to look at, where plotly is installed

Each file appears whole, the manifest last: a folder without one was cut.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from edgeq.errors import BadInput
from edgeq.files import write_file
from edgeq.harness.manifest import Session
from edgeq.harness.trace import run_folders
from edgeq.strict import Strict, Whole, read_strict

MANIFEST, TABLE, RESULT, PAGE = "manifest.json", "table.parquet", "result.json", "page.html"
FORMAT: Literal["edgeq study"] = "edgeq study"
VERSION: Literal[1] = 1
MOST_ROWS = 1_000_000
Row = Mapping[str, Any]


class StudyManifest(Strict):
    """manifest.json. `keys`: the columns that name a row; `rows` of data, None where none were."""

    format: Literal["edgeq study"]
    version: Literal[1]
    kind: str
    session: Session
    model: str
    model_digest: str | None
    board: str | None
    data: str | None
    rows: Whole | None
    keys: Annotated[tuple[str, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Study:
    """One as read: `table` has a dict a row."""

    folder: Path
    manifest: StudyManifest
    table: tuple[dict[str, Any], ...]


def next_folder(parent: Path) -> Path:
    """The next number below `parent`, from 0001; made, so that no other takes it."""
    runs = run_folders(parent)
    number = int(runs[-1].name) + 1 if runs else 1
    while True:
        folder = parent / f"{number:04}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1
        except OSError as error:
            raise BadInput(f"cannot make {folder}: {error.strerror or error}") from None


def write_study(
    folder: Path,
    manifest: StudyManifest,
    table: Sequence[Row],
    result: Mapping[str, Any],
    page: str | None,
) -> None:
    """All files; `page` None where nothing can draw it."""
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    held = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in table]), held)
    write_file(folder / TABLE, held.getvalue())
    write_file(folder / RESULT, json.dumps(result, indent=2).encode() + b"\n")
    if page is not None:
        write_file(folder / PAGE, page.encode())
    write_file(folder / MANIFEST, manifest.model_dump_json(indent=2).encode() + b"\n")


def is_study(folder: Path) -> bool:
    """Whether the folder's manifest says that it is one."""
    path = folder / MANIFEST
    try:
        return bool(json.loads(path.read_bytes()[: 1 << 20]).get("format") == FORMAT)
    except (OSError, ValueError, AttributeError):
        return False


def read_study(folder: Path) -> Study:
    """Raises BadInput for a folder that holds none, or a damaged one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        manifest = read_strict(folder / MANIFEST, StudyManifest, VERSION)[0]
        table = pq.read_table(folder / TABLE)
        if table.num_rows > MOST_ROWS:
            raise ValueError(f"{table.num_rows:,} rows are too many")
        missing = set(manifest.keys) - set(table.column_names)
        if missing:
            raise ValueError(f"{TABLE} has no column {', '.join(sorted(missing))}")
        return Study(folder, manifest, tuple(table.to_pylist()))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise BadInput(f"{folder} holds no whole study: {error}; make it again") from None
