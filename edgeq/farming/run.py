"""`edgeq farm run`: every model on every board, a cell after the other; what is done stays."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgeq import pipeline, profiling
from edgeq.errors import (
    BadInput,
    EdgeqError,
    Link,
    MemoryBudget,
    Mismatch,
    ModelFile,
    Taken,
    Toolchain,
)
from edgeq.export_folder import read_report
from edgeq.extras import needs
from edgeq.farming.log import Log
from edgeq.farming.matrix import Cell, Matrix, cells_of, read_matrix
from edgeq.farming.result import row_of, written
from edgeq.farming.stands import Stand, standing, stands_of
from edgeq.places import Labgrid, find_labgrid
from edgeq.places.hold import myself
from edgeq.places.place import read_place
from edgeq.reporting.study import next_folder

Watch = Callable[[int, int, str], None]
Tell = Callable[[str], None]
REPORT = "export.json"


@needs("parquet", "a farm run, whose table is kept as Parquet,")
def farm_run(
    matrix: str | Path,
    out: str | Path = "build/farm",
    *,
    resume: bool = False,
    labgrid: str | Path | None = None,
    coordinator: str | None = None,
    compiler: str = "auto",
    watch: Watch | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Profiles the models of a matrix on its boards (docs/farm.md); writes the folder `out`.

    A cell whose board is lost runs on another board of its kind; one that fails is told in its row
    and the others go on. `resume` leaves out what an earlier run finished. `watch` hears of cells
    done, in all, and the next one's name; `tell` of what goes wrong. Returns the object of `edgeq
    farm run --json`. Raises BadInput for the matrix or the folder, Link without the coordinator,
    Toolchain without labgrid where a board is one of its places.
    """
    path, folder = Path(matrix), Path(out)
    asked = read_matrix(path)
    farmed = any(entry.farmed for entry in asked.boards.values())
    client = find_labgrid(labgrid, coordinator) if farmed else None
    stands = stands_of(asked, client)  # before the journal: what is refused has not begun
    log = Log(folder, path, resume)
    try:
        _let_go(log, client)
        run = _Run(asked, path.parent, folder, client, compiler, log, tell or _untold)
        run.all(stands, watch or _unwatched)
    finally:
        log.close()
    return written(folder, path, asked, log.rows)


_KINDS = (ModelFile, MemoryBudget, Link, Mismatch, Toolchain, Taken)  # one an exit code


def refuse_failures(result: Mapping[str, Any]) -> None:
    """Raises what the first cell that failed did: Mismatch where answers differ."""
    failed = [row for row in result["rows"] if row["state"] != "ok"]
    if not failed:
        return
    first = failed[0]
    code = Mismatch.exit_code if first["state"] == "mismatches" else first["exit_code"]
    kind = next((each for each in _KINDS if each.exit_code == code), BadInput)
    raise kind(
        f"{len(failed)} of {len(result['rows'])} cells failed; first {first['model']} on "
        f"{first['board']}: {first['why']}; mend it and run again with --resume"
    )


@dataclasses.dataclass
class _Run:
    """One session; `dead`: stands that were lost in it."""

    matrix: Matrix
    base: Path
    out: Path
    client: Labgrid | None
    compiler: str
    log: Log
    tell: Tell
    dead: set[str] = dataclasses.field(default_factory=set)

    def all(self, stands: Mapping[str, list[Stand]], watch: Watch) -> None:
        """Every cell that is not done."""
        cells = cells_of(self.matrix, self.base)
        for index, cell in enumerate(cells):
            watch(index, len(cells), f"{cell.model} on {cell.board}")
            if self.log.rows.get(cell.name, {}).get("state") not in ("ok", "mismatches"):
                self.log.done(cell.name, self._cell(cell, stands[cell.board]))
        watch(len(cells), len(cells), "")

    def _cell(self, cell: Cell, stands: list[Stand]) -> dict[str, Any]:
        try:
            firmware = self._export(cell)
            return self._anywhere(cell, firmware, stands)
        except EdgeqError as error:
            self.tell(f"{cell.model} on {cell.board}: {error}")
            return row_of(cell, None, error=error)

    def _export(self, cell: Cell) -> Path:
        """The folder of an export, made of a model file for this board where it lacks."""
        if cell.source.is_dir():
            read_report(cell.source)
            return cell.source
        folder = self.out / "exports" / cell.name
        if not (folder / REPORT).is_file():
            pipeline.export(cell.source, cell.board, folder, compiler=self.compiler)
        return folder

    def _anywhere(self, cell: Cell, firmware: Path, stands: list[Stand]) -> dict[str, Any]:
        """On the first of its boards that is free and does not die."""
        why: list[EdgeqError] = []
        for stand in (each for each in stands if each.name not in self.dead):
            try:
                return self._on(stand, cell, firmware)
            except (Link, Taken) as error:
                why.append(error)
                self.log.add(cell=cell.name, lost=stand.name, why=str(error))
                if not isinstance(error, Taken):
                    self.dead.add(stand.name)
                self.tell(f"{cell.model} on {stand.name}: {error}")
        if not why:
            raise Link(f"every {cell.board} was lost ({', '.join(s.name for s in stands)})")
        raise why[-1]

    def _on(self, stand: Stand, cell: Cell, firmware: Path) -> dict[str, Any]:
        self.log.add(cell=cell.name, begun=stand.name)
        data = None if self.matrix.data is None else self.base / self.matrix.data
        with standing(stand, self.client, firmware, self.compiler, self.log) as request:
            run = next_folder(self.out / "runs" / cell.name)
            asked = dataclasses.replace(request, run=run, data=data, limit=self.matrix.limit)
            summary = profiling.profile(asked)
        return row_of(cell, stand.name, summary.entry, run.relative_to(self.out))


def _let_go(log: Log, client: Labgrid | None) -> None:
    """Places that a run held when it was killed, if they are still ours."""
    for name in log.left if client else ():
        with contextlib.suppress(BadInput):  # a place that is gone by now
            assert client is not None
            if read_place(client, name).holder == myself():
                client.run("-p", name, "release")
        log.add(released=name)


def _unwatched(_done: int, _all: int, _name: str) -> None: ...


def _untold(_line: str) -> None: ...
