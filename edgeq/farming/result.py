"""What a farm run found: a row a cell, the study that `edgeq compare` reads, the page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeq.errors import EdgeqError
from edgeq.farming.matrix import Cell, Matrix, cells_of
from edgeq.planning.folder import Told, write
from edgeq.reporting.study_page import PageTable

KIND = "farm run"
KEYS = ("model", "board")
FIGURES = (
    "state",
    "samples",
    "accuracy",
    "mismatches",
    "latency_ms",
    "p95_ms",
    "energy_uj",
    "source",
)
Row = dict[str, Any]


def row_of(
    cell: Cell,
    where: str | None,
    entry: Mapping[str, Any] | None = None,
    run: Path | None = None,
    error: EdgeqError | None = None,
) -> Row:
    """A cell as run (`entry`: its profile.json), or why it was not."""
    row: Row = {"model": cell.model, "board": cell.board, **dict.fromkeys(FIGURES)}
    row |= {"where": where, "run": None if run is None else run.as_posix()}
    if entry is None:
        why = {"why": str(error), "exit_code": getattr(error, "exit_code", 2)}
        return row | {"state": "failed"} | why
    joules = (entry.get("energy") or {}).get("joules_mean")
    bad = entry["mismatches"]
    row |= {
        "state": "mismatches" if bad else "ok",
        "samples": entry["samples"],
        "accuracy": entry.get("accuracy"),
        "mismatches": bad,
        "latency_ms": entry["latency"]["mean"],
        "p95_ms": entry["latency"]["p95"],
        "energy_uj": None if joules is None else joules * 1e6,
        "source": entry["latency"]["source"],
    }
    return row | {"why": f"{bad} samples differ from the reference" if bad else None}


def written(out: Path, path: Path, matrix: Matrix, rows: Mapping[str, Row]) -> dict[str, Any]:
    """Writes manifest, table, result and page of the run into `out`; the result, with `page`."""
    shown = [rows[cell.name] for cell in cells_of(matrix, path.parent)]
    result: dict[str, Any] = {
        "model": ", ".join(matrix.models),
        "board": ", ".join(matrix.boards),
        "matrix": str(path),
        "run": str(out),
        "rows": shown,
    }
    table = [{key: row[key] for key in (*KEYS, *FIGURES)} for row in shown]
    head = [f"{len(shown)} cells: {result['model']} on {result['board']}"]
    said = [*head, "Each cell's own report is its run's: edgeq report RUN"]
    cells = [[_cell(row[key]) for key in (*KEYS, *FIGURES, "where", "run")] for row in shown]
    tables = [PageTable("Cells", (*KEYS, *FIGURES, "where", "run"), cells)]
    told = Told(KIND, result, KEYS, table, "edgeq farm", said, (), tables, _notes(shown))
    page = write(out, told, digest=None, data=matrix.data, rows=matrix.limit)
    return result | {"page": page}


def _notes(rows: list[Row]) -> list[str]:
    return [f"{row['model']} on {row['board']}: {row['why']}" for row in rows if row["why"]]


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
