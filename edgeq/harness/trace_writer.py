"""Writes the folder of a run, so that it can be read at any moment; docs/traces.md has its format.

Segment n is `journal-n.log` while it fills and a part of `records` once it is full. The part
appears before the journal goes, and a part that exists outranks its journal.
"""

import json
import os
from pathlib import Path
from types import TracebackType

from edgeq.errors import BadInput
from edgeq.files import real_place, scratch_folder, write_file
from edgeq.harness.journal import Journal
from edgeq.harness.manifest import Manifest, read_manifest, write_manifest
from edgeq.harness.record import SampleRecord
from edgeq.harness.trace import (
    COMPLETE,
    END,
    PARTS,
    SUMMARY,
    Run,
    part_stem,
    read_run,
    read_segment,
    run_folders,
    segments,
)
from edgeq.harness.trace_part import write_part
from edgeq.ports import Ports

SEGMENT_RECORDS = 1000


class RunWriter:
    """Appends records; use as a context manager. An exception inside ends up as the reason."""

    def __init__(
        self,
        folder: Path,
        lock: int | None,
        next_index: int,
        segment_records: int,
        outputs: Ports | None = None,
    ) -> None:
        self.folder = folder
        self._outputs = outputs
        self._lock = lock
        self._next_index = next_index
        self._segment_records = segment_records
        self._ended = False
        self._open: list[SampleRecord] = []  # of the segment that fills
        parts, journals = segments(folder)
        self._number = max(parts.keys() | journals.keys(), default=-1) + 1
        self._journal: Journal | None = None

    def add(self, record: SampleRecord) -> None:
        """Appends the next record; after the return it survives the death of this process."""
        if record.index != self._next_index:
            raise ValueError(f"record {record.index} after {self._next_index - 1}")
        if self._journal is None:
            self._journal = Journal(journal_path(self.folder, self._number))
        self._journal.add(record.fields())
        self._open.append(record)
        self._next_index += 1
        if len(self._open) == self._segment_records:
            self._seal()

    def end(self, reason: str = COMPLETE) -> None:
        """Turns the open journal into a part and writes the end mark, once."""
        if not self._ended:
            self._ended = True
            self._seal()
            mark = {"samples": self._next_index, "reason": reason}
            write_file(self.folder / END, json.dumps(mark).encode() + b"\n")

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        try:
            if error is not None:
                text = str(error)
                self.end(f"{type(error).__name__}: {text}" if text else type(error).__name__)
        finally:
            if self._journal is not None:
                self._journal.close()
            _release(self._lock)

    def _seal(self) -> None:
        if self._journal is None:
            return
        self._journal.close()
        seal(self.folder, self._number, self._open, self._outputs)
        self._journal, self._open, self._number = None, [], self._number + 1


def journal_path(folder: Path, number: int) -> Path:
    """Where segment `number` stands until it is full."""
    return folder / f"journal-{number:05}.log"


def seal(
    folder: Path, number: int, records: list[SampleRecord], outputs: Ports | None = None
) -> None:
    """Writes the part of a segment, then removes its journal."""
    (folder / PARTS).mkdir(exist_ok=True)
    write_part(part_stem(folder, number), records, outputs)
    journal_path(folder, number).unlink(missing_ok=True)  # gone: Ctrl-C came just after


def create_run(
    folder: Path, manifest: Manifest, segment_records: int = SEGMENT_RECORDS
) -> RunWriter:
    """A new run in `folder`, which must be absent or empty (BadInput)."""
    if not _place(folder, manifest):
        raise BadInput(f"{folder} is not empty; continue its run with --resume, or name another")
    return RunWriter(folder, _lock(folder), 0, segment_records, manifest.model.ports)


def create_next_run(
    runs: Path, manifest: Manifest, segment_records: int = SEGMENT_RECORDS
) -> RunWriter:
    """A new run in `runs`, under the next free number."""
    number = max((int(path.name) for path in run_folders(runs)), default=0) + 1
    while not _place(runs / f"{number:04}", manifest):
        number += 1  # another process was faster
    folder = runs / f"{number:04}"
    return RunWriter(folder, _lock(folder), 0, segment_records, manifest.model.ports)


def resume_run(
    folder: Path, manifest: Manifest, segment_records: int = SEGMENT_RECORDS
) -> tuple[RunWriter, Run]:
    """Continues a run; the writer, and the run as it was found.

    `manifest` is what a new run would write: its one session is added to those of the run. Raises
    BadInput when board, firmware, model or data differ (such samples must not be mixed), when the
    run holds more samples than planned, or when another process records into it.
    """
    read_manifest(folder)  # an absent folder cannot be locked
    lock = _lock(folder)
    try:
        run = read_run(folder)
        _check_same(folder, run.manifest, manifest)
        _check_planned(run, manifest.samples)
        _reopen(run, manifest)
        outputs = run.manifest.model.ports
        return RunWriter(folder, lock, len(run.records), segment_records, outputs), run
    except BaseException:
        _release(lock)
        raise


def _check_same(folder: Path, old: Manifest, new: Manifest) -> None:
    theirs = new.identity()
    for name, value in old.identity().items():
        if value != theirs[name]:
            raise BadInput(
                f"{folder} was recorded with {name} {value}, now it is {theirs[name]}; start a "
                "new run without --resume"
            )


def _check_planned(run: Run, samples: int) -> None:
    if len(run.records) > samples:
        raise BadInput(
            f"{run.folder} already holds {len(run.records)} samples, more than the {samples} "
            "asked for; raise --limit"
        )


def _reopen(run: Run, manifest: Manifest) -> None:
    """Adds the session, makes a part of a left journal, removes what was final."""
    folder, sessions = run.folder, run.manifest.sessions + manifest.sessions
    write_manifest(folder, manifest.model_copy(update={"sessions": sessions}))
    parts, journals = segments(folder)
    for number, path in journals.items():
        outputs = run.manifest.model.ports
        records = [] if number in parts else read_segment(path, outputs)
        if records:
            seal(folder, number, records, outputs)
        else:
            path.unlink()
    for name in (END, SUMMARY):
        (folder / name).unlink(missing_ok=True)


def _place(folder: Path, manifest: Manifest) -> bool:
    """Puts a folder with its manifest at `folder` in one step; False when something is there."""
    folder = real_place(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(beside=folder) as scratch:
        fresh = scratch / "run"
        fresh.mkdir()
        write_manifest(fresh, manifest)
        try:
            os.rename(fresh, folder)
        except (FileExistsError, NotADirectoryError):
            return False
        except OSError as error:
            if folder.exists():  # ENOTEMPTY has no class of its own
                return False
            raise error
    return True


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the folder for this process; BadInput when another one has it."""
    if os.name != "posix":
        return None
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BadInput(f"{folder} is being recorded by another process; wait for it") from None
    return descriptor


def _release(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)
