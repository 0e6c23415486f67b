"""A firmware project as a value: file name -> bytes, written whole or not at all."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from edgeq.errors import BadInput
from edgeq.files import scratch_folder, take_place

# Stands in every folder edgeq wrote; a folder without it is never replaced.
MARKER_FILE = ".edgeq-firmware"
_MARKER_TEXT = b"edgeq firmware project 1\n"
MAX_FILES = 1_000
MAX_BYTES = 256 * 1024 * 1024


def _check_name(name: str) -> str:
    if any(part in ("", ".", "..") for part in name.split("/")):  # "" begins an absolute path
        raise BadInput(f"project file name {name!r} must be relative, without '.', '..' or '//'")
    if "\\" in name or ":" in name or min(name) < " ":
        raise BadInput(f"project file name {name!r} holds a character no project file may have")
    if name == MARKER_FILE:
        raise BadInput(f"{MARKER_FILE} is edgeq's own mark and cannot be a project file")
    return name


@dataclass(frozen=True)
class FirmwareProject:
    """All files of a firmware, by their POSIX path in the project. Nothing touches disk here.

    Raises BadInput for a name that could leave the folder.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ordered = {_check_name(name): bytes(self.files[name]) for name in sorted(self.files)}
        object.__setattr__(self, "files", MappingProxyType(ordered))

    def digest(self) -> str:
        """SHA-256 over sorted names and contents, each preceded by its length; 64 hex digits."""
        sha = hashlib.sha256()
        for name, data in self.files.items():
            for part in (name.encode(), data):
                sha.update(len(part).to_bytes(8, "little"))
                sha.update(part)
        return sha.hexdigest()

    def with_files(self, other: Mapping[str, bytes]) -> "FirmwareProject":
        """A new project with `other` added; a file of the same name is replaced."""
        return FirmwareProject({**self.files, **other})

    def without(self, *names: str) -> "FirmwareProject":
        """A new project that lacks `names` (absent ones are ignored)."""
        return FirmwareProject({n: data for n, data in self.files.items() if n not in names})

    def write(self, folder: Path) -> None:
        """Writes the project as `folder`, whole or not at all, in place of an earlier one.

        Raises BadInput if `folder` exists and is neither empty nor written by edgeq.
        """
        _check_replaceable(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(beside=folder) as scratch:
            self._fill(scratch / "new")
            take_place(scratch / "new", folder)

    def _fill(self, folder: Path) -> None:
        folder.mkdir()
        (folder / MARKER_FILE).write_bytes(_MARKER_TEXT)
        for name, data in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    @classmethod
    def read(cls, folder: Path) -> "FirmwareProject":
        """Reads a folder that `write` made; raises BadInput if it is absent or another's.

        Build products (`build/`) and dot files are left out; links are refused.
        """
        if not (folder / MARKER_FILE).is_file():
            raise BadInput(
                f"{folder} holds no firmware project; `edgeq export --out DIR` makes one"
            )
        files: dict[str, bytes] = {}
        total = 0
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if name.startswith((".", "build/")) or (path.is_dir() and not path.is_symlink()):
                continue
            if path.is_symlink() or not path.is_file():
                raise BadInput(f"{path} is a link or a special file; a project holds plain files")
            total += path.stat().st_size
            if len(files) >= MAX_FILES or total > MAX_BYTES:
                raise BadInput(f"{folder} is larger than any firmware project; export it again")
            files[name] = path.read_bytes()
        if not files:
            raise BadInput(f"{folder} is an empty firmware project; export it again")
        return cls(files)


def _check_replaceable(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise BadInput(f"{folder} exists and is not a folder; give another one")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER_FILE).is_file():
        raise BadInput(f"{folder} was not written by edgeq and is not empty; give another folder")
