"""Reads a torch zip archive without trusting it: what is refused before a byte is unpickled."""

import zipfile
from pathlib import Path

from edgeq.errors import BadInput, EdgeqError, ModelFile
from edgeq.nn.plain_pickle import read_plain
from edgeq.stored_zip import StoredZip, open_zip

MAX_BYTES = 512 * 2**20

FROM_TORCH = (
    "module = Net(); module.load_state_dict(torch.load('weights.pt', weights_only=True))\n"
    "model = edgeq.from_torch(module.eval(), torch.zeros(1, 3, 32, 32))\n"
    "edgeq.save(model, 'model.pt')"
)
SAVE_INSTEAD = "save the model with edgeq.save(model, path), which writes the edgeq-model format"
REBUILD = f"build the module and save its model:\n{FROM_TORCH}"
_OTHERS = {  # suffix: (what the file is no model for, what takes it instead)
    ".onnx": (
        "an edgeq-model file has another name",
        "edgeq.from_onnx(path) and `edgeq export` take ONNX files",
    ),
    ".tflite": (
        "an edgeq-model file has another name, a TensorFlow Lite file has TFL3 in its bytes 4 to 7",
        "edgeq.from_tflite(path) and `edgeq export` take such files",
    ),
    ".pt2": ("torch.export archives can execute code when loaded and are refused", REBUILD),
}


def read_archive(path: Path) -> object:
    """The plain data in `path`: dicts, lists, numbers, text and tensors.

    Raises BadInput without a file, ModelFile for anything damaged, too large, compressed,
    executable or of another format. Nothing of the file runs.
    """
    _refuse_by_name(path)
    archive = _checked_zip(path)
    pickle = next(n for n in archive.entries if _inner(n) == "data.pkl")
    root = pickle.removesuffix("data.pkl")
    try:
        if (
            archive.entries.get(f"{root}byteorder")
            and archive.read(f"{root}byteorder") != b"little"
        ):
            raise ValueError("its numbers are not little-endian")
        return read_plain(archive.read(pickle), lambda key: _data(archive, root, key))
    except MemoryError as error:
        raise ModelFile(f"{path}: does not fit in this machine's memory") from error
    except Exception as error:
        reason = str(error).strip().splitlines()
        raise ModelFile(
            f"{path}: refused, it holds more than plain data or is damaged "
            f"({type(error).__name__}: {_first(reason)}); whole pickled modules can execute code: "
            f"{REBUILD}"
        ) from error


def _data(archive: StoredZip, root: str, key: str) -> bytes:
    """The bytes of a storage."""
    name = f"{root}data/{key}"
    if name not in archive.entries:
        raise ValueError(f"the numbers {key[:20]!r} of a tensor are not in the file")
    return archive.read(name)


def _first(lines: list[str]) -> str:
    return lines[0][:160] if lines else "no detail"


def refuse_suffix(path: Path, kind: type[EdgeqError]) -> None:
    """Raises `kind` for the suffix of another format: saving refuses what loading would."""
    if path.suffix.lower() in _OTHERS:
        reason, instead = _OTHERS[path.suffix.lower()]
        if kind is not ModelFile:
            instead = f"{SAVE_INSTEAD}, best as .pt"
        raise kind(f"{path}: {reason}; {instead}")


def _refuse_by_name(path: Path) -> None:
    if not path.exists():
        raise BadInput(f"{path}: no such file; {SAVE_INSTEAD}")
    if not path.is_file():
        raise BadInput(f"{path}: not a file; give the path of a saved model")
    refuse_suffix(path, ModelFile)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    if size > MAX_BYTES:
        raise ModelFile(f"{path}: {size:,} bytes; the limit is {MAX_BYTES:,}")
    if magic != b"PK\x03\x04":
        raise ModelFile(
            f"{path}: not an edgeq model ({size:,} bytes, no zip archive); {SAVE_INSTEAD}"
        )


def _checked_zip(path: Path) -> StoredZip:
    """The archive, which is one that edgeq.save writes: stored, little-endian, no code."""
    try:
        archive = open_zip(path, MAX_BYTES, deflated=True)
    except ValueError as error:
        raise ModelFile(f"{path}: {error}; {SAVE_INSTEAD}") from None
    names = [_inner(name) for name in archive.entries]
    if any(n == "constants.pkl" or n.startswith("code/") for n in names):
        raise ModelFile(f"{path}: a TorchScript archive, which carries code; {REBUILD}")
    if any(n.endswith("archive_format") or n.startswith("models/") for n in names):
        raise ModelFile(f"{path}: a torch.export archive, which can execute code; {REBUILD}")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.entries.values()):
        raise ModelFile(
            f"{path}: compressed entries, which edgeq.save never writes; {SAVE_INSTEAD}"
        )
    if names.count("data.pkl") != 1:
        raise ModelFile(f"{path}: a zip archive, but not a model; {SAVE_INSTEAD}")
    return archive


def _inner(name: str) -> str:
    """The name of an entry without the archive's own folder."""
    return name.partition("/")[2] or name
