"""The folder that `edgeq export` leaves: written whole or not at all, read by flash and profile."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from edgeq.arrays import CHANNELS_FIRST, Array, Layout, rows_of_file
from edgeq.errors import BadInput, ModelFile
from edgeq.files import real_place, scratch_folder, take_place
from edgeq.firmware_project import FirmwareProject
from edgeq.plain_json import read_json
from edgeq.plain_text import command
from edgeq.ports import MOST_PORTS
from edgeq.strict import Check, Digest, PortEntry, Size, Strict, Threshold, Whole, read_strict
from edgeq.task import Task

MARK = "export.json"
SCHEMA = 1  # of export.json: another one is refused, not guessed at
FIRMWARE = "firmware"
GRAPH = "graph.npz"
WINDOW = "window.npz"  # of a stream: the graph that its steps answer as
EVALUATION = "evaluation.npz"
PACKAGE = "package"  # the model as a library of other people's projects
RUNS = "runs"  # what `edgeq profile` recorded; a new export keeps them


@dataclass(frozen=True)
class Artifacts:
    """Everything an export writes. `files` maps names to bytes, `written` to what writes them."""

    report: dict[str, Any]
    project: FirmwareProject
    files: dict[str, bytes]
    written: Mapping[str, Callable[[Path], None]]


def check_free(out: Path) -> None:
    """BadInput unless `out` is new, empty or an earlier export: nothing of the user's is erased."""
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file():
        raise BadInput(f"{out} holds files that edgeq did not write; choose another --out")
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; --out names a folder")
    nearest = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise BadInput(f"cannot write {out}: {nearest} takes no files; choose another --out")


def write_export(out: Path, artifacts: Artifacts) -> None:
    """Everything into a folder beside `out`, then one rename: nothing half-written stays."""
    check_free(out)
    try:
        place = real_place(out)
        place.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(beside=place) as scratch:
            _fill(scratch / "new", artifacts)
            take_place(scratch / "new", place, keep=(RUNS,))
    except OSError as error:
        why = f"{error.strerror or error}; choose another --out"
        raise BadInput(f"cannot write {out}: {why}") from error


def _fill(fresh: Path, artifacts: Artifacts) -> None:
    fresh.mkdir()
    artifacts.project.write(fresh / FIRMWARE)
    for name, data in artifacts.files.items():
        (fresh / name).write_bytes(data)
    for name, write in artifacts.written.items():
        write(fresh / name)
    (fresh / MARK).write_text(json.dumps(artifacts.report, indent=2) + "\n")


def export_rows(report: Mapping[str, Any], path: Path) -> Array:
    """Rows of a user's .npz file for the model of an export, as `arrays.rows_of_file`."""
    layout = report.get("input_layout", CHANNELS_FIRST)
    inputs = {str(each["name"]): tuple(each["shape"]) for each in report.get("inputs") or ()}
    return rows_of_file(path, inputs or {"input": tuple(report["input_shape"])}, layout)


Entries = Annotated[list[PortEntry], Field(min_length=1, max_length=MOST_PORTS)]


class OriginEntry(Strict):
    """The model before the export quantised it, or named its classes."""

    digest: Digest
    weights: str | None
    ptq: Literal["fast", "best"]
    calibration: Digest | None
    keep: dict[str, str] | None = None


class LayerCost(Strict):
    """A layer's estimate."""

    cycles: Whole | None = None


class EstimatedOn(Strict):
    """Where the layers' cycles were estimated."""

    board: str


class StreamEntry(Strict):
    """Of an export whose input is a hop of a stream; all in frames."""

    hop: Size
    window: Size
    lookahead: Whole
    period_s: float | None
    axis: Whole


class Report(Strict):
    """export.json, as far as it is read again; `edgeq export --json` prints the whole of it."""

    model_digest: Digest
    target: str
    model: str = "model"
    input_shape: Annotated[list[Size], Field(min_length=1, max_length=4)]
    input_layout: Layout = CHANNELS_FIRST
    inputs: Entries | None = None  # None: an export of an edgeq that knew one of each
    outputs: Entries | None = None
    state_bytes: Whole = 0
    stream: StreamEntry | None = None
    origin: OriginEntry | None = None
    class_names: list[str] | None
    task: Task | None = None
    checks: list[Check]
    notes: list[str]
    routes: dict[str, Whole] | None = None
    layers: list[LayerCost] = Field(default_factory=list)
    estimate: EstimatedOn | None = None
    threshold: Threshold | None = None


def read_report(folder: Path) -> dict[str, Any]:
    """The JSON object of an export folder, held to `Report`. Raises BadInput when there is
    none, ModelFile for a damaged one.
    """
    try:
        value = read_json(folder / MARK)
        if isinstance(value, dict) and value.get("schema") != SCHEMA:
            raise ValueError(_other_schema(value.get("schema")))
        return read_strict(folder / MARK, Report)[1]
    except OSError:
        again = command("edgeq", "export", "MODEL", "--out", folder)
        raise BadInput(f"{folder} holds no export; run `{again}` first") from None
    except ValueError as error:
        again = command("edgeq", "export", "MODEL", "--out", folder)
        raise ModelFile(f"{folder / MARK} is damaged: {error}; run `{again}` again") from None


def _other_schema(found: object) -> str:
    if found is None:
        return f"it has no schema, as an older edgeq wrote it; this one reads {SCHEMA}"
    return f"its schema is {str(found)[:20]!r}, this edgeq reads {SCHEMA}"


def read_project(folder: Path) -> FirmwareProject:
    """The C project of an export folder; ModelFile when there is none."""
    read_report(folder)
    return FirmwareProject.read(folder / FIRMWARE)
