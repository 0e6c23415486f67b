"""Reads the folder of a run: `read_run(folder)`; docs/traces.md has its format.

A record stands in a part (Parquet, or JSON lines) or, until its part is full, in a journal. Every
file but the journal appears whole, and a journal can lose its last line only: the folder is
readable at any moment, also while a run writes it and after its host was killed.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from edgeq.errors import BadInput
from edgeq.harness.journal import read_journal
from edgeq.harness.manifest import Manifest, read_manifest
from edgeq.harness.profile_summary import Summary, read_summary
from edgeq.harness.record import SampleRecord as SampleRecord
from edgeq.harness.trace_part import SUFFIXES, read_part
from edgeq.ports import Ports
from edgeq.strict import Strict, read_strict

PARTS = "records"
END = "end.json"
SUMMARY = "profile.json"
CURRENT = "current.parquet"
COMPLETE = "complete"
_RUN_NAME = re.compile(r"\d{4,}")
_JOURNAL_NAME = re.compile(r"journal-(\d{5,})\.log")
_PART_NAME = re.compile(r"(\d{5,})(?:\.parquet|\.jsonl)")


@dataclass(frozen=True)
class Run:
    """A run as read. Records stand in order of their index, from 0, without a gap."""

    folder: Path
    manifest: Manifest
    records: tuple[SampleRecord, ...]
    ended: str | None  # "complete", the reason of an early end, None: killed or still running
    summary: Summary | None  # what `edgeq profile --json` printed; None until it ended

    @property
    def complete(self) -> bool:
        """Every planned sample was recorded."""
        return self.ended == COMPLETE

    @property
    def current(self) -> Path | None:
        """The current samples, where a meter ran."""
        path = self.folder / CURRENT
        return path if path.is_file() else None


def read_run(folder: str | Path) -> Run:
    """Reads a run, whole or cut. Raises BadInput when there is none, or it is damaged."""
    folder = Path(folder)
    manifest = read_manifest(folder)
    parts, journals = segments(folder)
    records: list[SampleRecord] = []
    for number in sorted(parts.keys() | journals.keys()):
        try:
            records += read_segment(parts.get(number) or journals[number], manifest.model.ports)
        except FileNotFoundError:  # sealed since we looked
            records += read_segment(part_path(folder, number), manifest.model.ports)
    _check_records(folder, manifest, records)
    return Run(folder, manifest, tuple(records), _ended(folder / END), _summary(folder / SUMMARY))


def _check_records(folder: Path, manifest: Manifest, records: list[SampleRecord]) -> None:
    """BadInput unless they are in order, without a gap, and of the manifest's model."""
    model = manifest.model
    for position, record in enumerate(records):
        if record.index != position:
            raise BadInput(f"{folder}: the record of sample {position} is missing; the run is lost")
        outputs, layers = len(record.output), len(record.layer_cycles)
        wanted = model.ports.values if model.ports else len(records[0].output)
        if outputs != wanted or layers != len(model.layers):
            raise BadInput(f"{folder}: the record of sample {position} is of another model")
        if record.route >= max(1, len(model.experts)):
            raise BadInput(f"{folder}: sample {position} took route {record.route}, which is none")


def run_folders(runs: str | Path) -> tuple[Path, ...]:
    """The numbered runs of a folder such as build/export/runs, oldest first."""
    path = Path(runs)
    names = [p for p in path.iterdir() if _RUN_NAME.fullmatch(p.name)] if path.is_dir() else []
    return tuple(sorted(names, key=lambda p: int(p.name)))


def segments(folder: Path) -> tuple[dict[int, Path], dict[int, Path]]:
    """Parts and journals by their number; a number in both was killed between the two."""
    return _numbered(folder / PARTS, _PART_NAME), _numbered(folder, _JOURNAL_NAME)


def part_stem(folder: Path, number: int) -> Path:
    """Where a full segment stands, without the suffix of its form."""
    return folder / PARTS / f"{number:05}"


def part_path(folder: Path, number: int) -> Path:
    """A full segment, in the form that it was written in."""
    stem = part_stem(folder, number)
    forms = [stem.with_suffix(suffix) for suffix in SUFFIXES]
    return next((path for path in forms if path.is_file()), forms[0])


def read_segment(path: Path, outputs: Ports | None = None) -> list[SampleRecord]:
    """The records of one part or one journal of a model with these output ports."""
    if path.suffix in SUFFIXES:
        return read_part(path, outputs)
    try:
        return [SampleRecord.parse(fields) for fields in read_journal(path)]
    except (ValueError, TypeError) as error:
        raise BadInput(f"{path} is damaged: {error}") from None


def _numbered(folder: Path, name: re.Pattern[str]) -> dict[int, Path]:
    if not folder.is_dir():
        return {}
    found = {path: name.fullmatch(path.name) for path in folder.iterdir()}
    return {int(match[1]): path for path, match in found.items() if match}


class _End(Strict):
    reason: str


def _ended(path: Path) -> str | None:
    try:
        return read_strict(path, _End)[0].reason
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} is damaged: {error}") from None


def _summary(path: Path) -> Summary | None:
    try:
        return read_summary(path)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path} is damaged: {error}; remove it, then continue with `edgeq profile --resume`"
        ) from None
