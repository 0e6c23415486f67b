"""The journal of a farm run: what was begun, held, and done; each session has a file of its own."""

import hashlib
from pathlib import Path
from typing import Any

from edgeq.errors import BadInput
from edgeq.harness.journal import Journal, read_journal

FOLDER = "journal"


class Log:
    """Of the run in `out`: `rows` of finished cells, by name, and the places a killed run held.

    Raises BadInput for a folder that holds another run, or one where none was asked to go on.
    """

    def __init__(self, out: Path, matrix: Path, resume: bool) -> None:
        digest = hashlib.sha256(matrix.read_bytes()).hexdigest()
        folder = out / FOLDER
        files = sorted(folder.glob("*.jsonl"))
        self._refuse(out, digest, files, resume)
        self.rows: dict[str, dict[str, Any]] = {}
        held: list[str] = []
        for file in files:
            for entry in read_journal(file):
                self._read(entry, held)
        self.left = tuple(held)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._journal = Journal(folder / f"{len(files) + 1:04}.jsonl")
        except OSError as error:
            why = "another `edgeq farm run` writes there" if files else error.strerror
            raise BadInput(f"cannot write into {folder}: {why}; choose another --out") from None
        self.add(matrix=digest)

    def _refuse(self, out: Path, digest: str, files: list[Path], resume: bool) -> None:
        if not resume and out.exists() and any(out.iterdir()):
            raise BadInput(f"{out} is not empty; go on with --resume, or give --out another folder")
        if resume and not files:
            raise BadInput(f"{out} holds no farm run to resume; start one without --resume")
        begun = {e["matrix"] for file in files for e in read_journal(file) if "matrix" in e}
        if begun - {digest}:
            raise BadInput(
                f"{out} was begun with another matrix; take the old one, or --out another folder"
            )

    def _read(self, entry: dict[str, Any], held: list[str]) -> None:
        if isinstance(entry.get("row"), dict):
            self.rows[str(entry.get("cell"))] = entry["row"]
        if isinstance(entry.get("held"), str):
            held.append(entry["held"])
        if entry.get("released") in held:
            held.remove(entry["released"])

    def add(self, **facts: object) -> None:
        """One entry; it is with the system when this returns."""
        self._journal.add(facts)

    def done(self, cell: str, row: dict[str, Any]) -> None:
        """A finished cell, which a resumed run leaves out."""
        self.rows[cell] = row
        self.add(cell=cell, row=row)

    def close(self) -> None:
        """Waits for the disk."""
        self._journal.close()
