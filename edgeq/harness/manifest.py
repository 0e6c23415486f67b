"""manifest.json of a run: what was measured, with what, by whom; docs/traces.md lists the keys."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edgeq.errors import BadInput
from edgeq.files import write_file
from edgeq.ports import Port, Ports
from edgeq.strict import Strict, Whole, read_strict

FILE = "manifest.json"
FORMAT: Literal["edgeq run"] = "edgeq run"
VERSION: Literal[1] = 1  # another one is refused, not guessed at
Names = tuple[str, ...]


class Session(Strict):
    """One process that recorded: the first, and each that resumed."""

    started: str  # UTC, ISO 8601
    command: Names
    edgeq: str
    host: dict[str, str]  # system, Python and the packages that recorded, with versions


class Firmware(Strict):
    """What the board said of itself, and what `edgeq flash` noted of that build."""

    digest: str
    protocol_version: Whole
    clock_hz: Whole
    compiler: str | None  # None: not built from this export folder
    flags: Names | None
    flash_bytes: Whole | None = None
    ram_bytes: Whole | None = None


class Layer(Strict):
    """What stands behind an entry of a record's layer_cycles."""

    name: str
    op: str


class ModelPort(Strict):
    """An input or output: its values, and their type."""

    name: str
    dtype: Literal["int8", "int16"]
    size: Annotated[int, Field(ge=1, lt=2**31)]


def ports_of(found: tuple[ModelPort, ...]) -> Ports:
    """The ports of one side."""
    return Ports(tuple(Port(p.name, p.dtype, p.size) for p in found))


class Model(Strict):
    """The exported model. `inputs` and `outputs`: () in a run of an edgeq that knew one of each."""

    name: str
    digest: str
    input_shape: tuple[Whole, ...]
    inputs: tuple[ModelPort, ...] = ()
    outputs: tuple[ModelPort, ...] = ()
    state_bytes: Whole = 0
    classes: Names
    experts: Names  # () without a mixture
    layers: tuple[Layer, ...]

    @property
    def ports(self) -> Ports | None:
        """The outputs, where the run names them."""
        return ports_of(self.outputs) if self.outputs else None


class Data(Strict):
    """The data set. `digest`: of the file's x and y, so equal for two models fed the same data."""

    source: str
    digest: str
    input_digest: str  # of the int8 rows that the model takes, and the labels


class Flash(Strict):
    """Of a board file, what a report quotes."""

    wait_states: Whole


class BoardFacts(Strict):
    """Of a board file, what is read again."""

    name: str
    core: str = ""
    first_load_extra: Whole = 0
    flash: Flash | None = None


class Manifest(Strict):
    """The whole manifest."""

    format: Literal["edgeq run"]
    version: Literal[1]
    sessions: Annotated[tuple[Session, ...], Field(min_length=1)]
    board: dict[str, Any]  # every key of its board file; only name where edgeq has none
    firmware: Firmware
    model: Model
    data: Data
    samples: Whole  # planned

    @model_validator(mode="after")
    def _board_is_one(self) -> "Manifest":
        BoardFacts.model_validate(self.board)
        return self

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
        return read_strict(path, Manifest, VERSION)[0]
    except OSError as error:
        raise BadInput(f"{folder} holds no run: {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BadInput(f"{path} is no manifest of this edgeq: {error}") from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Whole or not at all."""
    write_file(folder / FILE, manifest.model_dump_json(indent=2).encode() + b"\n")
