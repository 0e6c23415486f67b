"""manifest.json of a run: what was measured, with what, by whom; docs/traces.md lists the keys."""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edgeq.errors import BadInput

FILE = "manifest.json"


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Session(_Facts):
    """One process that recorded: the first, and each that resumed."""

    started: str  # UTC, ISO 8601
    command: tuple[str, ...]
    edgeq: str
    host: dict[str, str]  # system, Python and the packages that recorded, with versions


class Firmware(_Facts):
    """What the board said of itself, and what `edgeq flash` noted of that build."""

    digest: str
    protocol_version: int
    clock_hz: int
    compiler: str | None  # None: not built from this export folder
    flags: tuple[str, ...] | None
    flash_bytes: int | None = None
    ram_bytes: int | None = None


class Model(_Facts):
    """The exported model."""

    name: str
    digest: str
    input_shape: tuple[int, ...]
    classes: tuple[str, ...]
    experts: tuple[str, ...]  # () without a mixture
    layers: tuple[dict[str, str], ...]  # name and op of each entry of a record's layer_cycles


class Data(_Facts):
    """The data set. `digest`: of the file's x and y, so equal for two models fed the same data."""

    source: str
    digest: str
    input_digest: str  # of the int8 rows that the model takes, and the labels


class Manifest(_Facts):
    """The whole manifest."""

    format: Literal["edgeq run"] = "edgeq run"
    version: Literal[1] = 1
    sessions: tuple[Session, ...]
    board: dict[str, Any]  # every key of its board file; only name where edgeq has none
    firmware: Firmware
    model: Model
    data: Data
    samples: int  # planned

    def identity(self) -> dict[str, object]:
        """What must be equal for samples to stand in one run."""
        return {
            "board": self.board["name"],
            "firmware_digest": self.firmware.digest,
            "model_digest": self.model.digest,
            "data set (input_digest)": self.data.input_digest,
        }


def read_manifest(folder: Path) -> Manifest:
    """Raises BadInput when the folder holds no run, or one of another version."""
    path = folder / FILE
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{folder} holds no run: {path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(f"{path} is no manifest of this edgeq: {where}: {first['msg']}") from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Whole or not at all."""
    replace_file(folder / FILE, manifest.model_dump_json(indent=2).encode() + b"\n")


def replace_file(path: Path, data: bytes) -> None:
    """Puts `data` at `path` in one step; a reader sees the old file or the new one."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
