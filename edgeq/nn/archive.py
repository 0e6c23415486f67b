"""Reads a torch zip archive without trusting it: what is refused before a byte is unpickled."""

import zipfile
from pathlib import Path
from typing import Any

import torch

from edgeq.errors import ModelFile

MAX_BYTES = 512 * 2**20
MAX_ENTRIES = 20_000

SAVE_INSTEAD = "save the model with edgeq.save(model, path), which writes the edgeq-model format"
_LATER = {
    ".onnx": "ONNX files as input come later",
    ".tflite": "TensorFlow Lite files as input come later",
    ".pt2": "torch.export archives can execute code when loaded and are refused",
}


def read_archive(path: Path) -> Any:
    """The plain data in `path`: dicts, lists, numbers, text and tensors.

    Raises ModelFile for anything missing, damaged, too large, compressed, executable or of
    another format. Nothing of the file runs.
    """
    _refuse_by_name(path)
    _refuse_by_directory(path)
    try:
        # weights_only stays explicit: an environment variable can flip the default
        return torch.load(path, weights_only=True, map_location="cpu")
    except MemoryError as error:
        raise ModelFile(f"{path}: does not fit in this machine's memory") from error
    except Exception as error:
        reason = str(error).strip().splitlines()
        raise ModelFile(
            f"{path}: refused, it holds more than plain data or is damaged "
            f"({type(error).__name__}: {_first(reason)}); whole pickled modules can execute code: "
            f"{SAVE_INSTEAD}"
        ) from error


def _first(lines: list[str]) -> str:
    return lines[0][:160] if lines else "no detail"


def _refuse_by_name(path: Path) -> None:
    if not path.exists():
        raise ModelFile(f"{path}: no such file; {SAVE_INSTEAD}")
    if not path.is_file():
        raise ModelFile(f"{path}: not a file; give the path of a saved model")
    reason = _LATER.get(path.suffix.lower())
    if reason is not None:
        raise ModelFile(f"{path}: {reason}; {SAVE_INSTEAD}")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ModelFile(f"{path}: cannot be read ({error.strerror})") from error
    if size > MAX_BYTES:
        raise ModelFile(f"{path}: {size:,} bytes; the limit is {MAX_BYTES:,}")
    if magic != b"PK\x03\x04":
        raise ModelFile(
            f"{path}: not an edgeq model ({size:,} bytes, no zip archive); {SAVE_INSTEAD}"
        )


def _refuse_by_directory(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ModelFile(
            f"{path}: truncated or damaged archive ({error}); {SAVE_INSTEAD}"
        ) from error
    if len(entries) > MAX_ENTRIES:
        raise ModelFile(f"{path}: {len(entries):,} entries; the limit is {MAX_ENTRIES:,}")
    inflated = sum(entry.file_size for entry in entries)
    if inflated > MAX_BYTES:
        raise ModelFile(
            f"{path}: inflates to {inflated:,} bytes; the limit is {MAX_BYTES:,} (a zip bomb?)"
        )
    names = [entry.filename.partition("/")[2] or entry.filename for entry in entries]
    if any(n == "constants.pkl" or n.startswith("code/") for n in names):
        raise ModelFile(f"{path}: a TorchScript archive, which carries code; {SAVE_INSTEAD}")
    if any(n.endswith("archive_format") or n.startswith("models/") for n in names):
        raise ModelFile(f"{path}: a torch.export archive, which can execute code; {SAVE_INSTEAD}")
    # torch.save stores; an inflated size in a directory entry can lie, a stored one cannot
    if any(e.compress_type != zipfile.ZIP_STORED for e in entries):
        raise ModelFile(
            f"{path}: compressed entries, which edgeq.save never writes; {SAVE_INSTEAD}"
        )
    if inflated > path.stat().st_size:
        raise ModelFile(f"{path}: overlapping entries; {SAVE_INSTEAD}")
    if "data.pkl" not in names:
        raise ModelFile(f"{path}: a zip archive, but not a model; {SAVE_INSTEAD}")
