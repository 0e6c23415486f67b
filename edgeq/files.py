"""Files and folders that edgeq writes: whole or not at all, and nothing left of a killed process.

Every place that writes a file which the user named goes through here.
"""

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from edgeq.errors import BadInput

_SCRATCH = "edgeq-scratch-"  # behind a dot where it stands beside the user's own files
_OLD, _KEEP = "old", "keep"
_LINKS = 40  # as many as Linux follows


def path_of(name: str | Path | None) -> Path | None:
    """What a user named, if anything."""
    return None if name is None else Path(name)


@contextmanager
def writing(path: Path, parents: bool = False) -> Iterator[BinaryIO]:
    """A file to write and seek in; it stands at `path` in one step when the block ends well.

    A link is followed. A FIFO with a reader, a character device and a descriptor (/dev/stdout) are
    written through; folders, block devices and sockets are refused, and files that are read-only.
    Raises BadInput, also for an OSError of the block.
    """
    try:
        mode = _mode(path)
        if parents and mode is None:
            real_place(path).parent.mkdir(parents=True, exist_ok=True)
        own = _descriptor(path)
        special = own is not None or (mode is not None and not stat.S_ISREG(mode))
        with _through(path, own) if special else _replacing(path, mode) as file:
            yield file
    except OSError as error:
        raise _unwritable(path, error) from error


@contextmanager
def adding_lines(path: Path) -> Iterator[Callable[[bytes], None]]:
    """A function that adds a line to a new file at `path` as it comes, whole or not at all: what
    was added stays, however the process ends.

    FIFOs with a reader, character devices and descriptors are written through. Raises BadInput for
    what `writing` refuses, and for a file that holds something.
    """
    try:
        mode, own = _mode(path), _descriptor(path)
        if own is not None or (mode is not None and not stat.S_ISREG(mode)):
            descriptor = _open_through(path, own)
        else:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOCTTY, 0o666)
            if os.fstat(descriptor).st_size:
                os.close(descriptor)
                raise BadInput(f"{path} holds something already, which is kept; choose another")
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield lambda line: _add(path, descriptor, line)
    finally:
        os.close(descriptor)


def _add(path: Path, descriptor: int, line: bytes) -> None:
    written = 0
    try:
        while written < len(line):  # a full disk takes a part, then fails
            written += os.write(descriptor, line[written:])
    except OSError as error:
        with contextlib.suppress(OSError):  # of a device nothing can be taken back
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> BadInput:
    return BadInput(f"cannot write {path}: {error.strerror or error}; choose another")


def write_file(path: Path, data: bytes, parents: bool = False) -> None:
    """Puts `data` at `path`, as `writing` does; `parents` makes the folders that lack."""
    with writing(path, parents) as file:
        file.write(data)


@contextmanager
def scratch_folder(beside: Path | None = None) -> Iterator[Path]:
    """An empty folder in the system's place for such, or next to `beside`; gone after the block.

    What is moved out of it stays. It is locked while this process lives: whoever makes the next
    one there removes those that a killed process of this user left. Raises OSError.
    """
    parent = Path(tempfile.gettempdir()) if beside is None else beside.absolute().parent
    prefix = _SCRATCH if beside is None else f".{_SCRATCH}"
    _sweep(parent, prefix)
    folder, lock = _locked_folder(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def take_place(fresh: Path, place: Path, keep: Sequence[str] = ()) -> None:
    """Puts the folder `fresh`, which stands in a scratch folder beside `place`, at `place`.

    Of what stood there only the parts called `keep` stay. A process that dies meanwhile loses
    nothing: whoever sweeps up after it puts back what it had taken away.
    """
    if not place.exists():
        fresh.rename(place)
        return
    scratch = fresh.parent
    (scratch / _KEEP).write_text("\n".join(keep))
    old = scratch / _OLD / place.name
    old.parent.mkdir()
    place.rename(old)
    try:
        fresh.rename(place)
    except BaseException:
        old.rename(place)
        raise
    _put_back(scratch)


def _put_back(scratch: Path) -> None:
    """The old folder where there is no new one, else the parts of it that stay."""
    for old in (scratch / _OLD).iterdir() if (scratch / _OLD).is_dir() else ():
        place = scratch.parent / old.name
        if not place.exists():
            old.rename(place)
            continue
        for name in (scratch / _KEEP).read_text().split("\n"):
            if name and (old / name).exists() and not (place / name).exists():
                (old / name).rename(place / name)


def real_place(path: Path) -> Path:
    """Where a link leads to, whether or not anything is there. Raises OSError for a circle."""
    with contextlib.suppress(FileNotFoundError):
        path.stat()
    return Path(os.path.realpath(path))


def _mode(path: Path) -> int | None:
    """What stands at `path` or where it leads; None for nothing. Raises OSError for what cannot."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error)) from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise OSError(errno.EINVAL, "it is a block device or a socket")
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "it may not be written")
    return mode


def _descriptor(path: Path) -> int | None:
    """The descriptor of this process that `path` names, as /dev/stdout does; else None."""
    at = path.absolute()
    for _ in range(_LINKS):
        if os.path.realpath(at.parent) == f"/proc/{os.getpid()}/fd" and at.name.isdigit():
            return int(at.name)
        if not at.is_symlink():
            break
        at = at.parent / at.readlink()
    return None


@contextmanager
def _through(path: Path, descriptor: int | None) -> Iterator[BinaryIO]:
    """Written to memory or disk first: a block that fails sends nothing."""
    with tempfile.SpooledTemporaryFile(max_size=1 << 24) as file:
        yield file  # type: ignore[misc]
        file.seek(0)
        with os.fdopen(_open_through(path, descriptor), "wb", buffering=0) as special:
            shutil.copyfileobj(file, special)


def _open_through(path: Path, descriptor: int | None) -> int:
    if descriptor is not None:
        return os.dup(descriptor)  # to go on where it stands
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, "nobody reads from it; start the reader first") from None
        raise
    os.set_blocking(descriptor, True)
    return descriptor


@contextmanager
def _replacing(path: Path, mode: int | None) -> Iterator[BinaryIO]:
    target = real_place(path)
    with scratch_folder(target) as scratch:
        fresh = scratch / "new"
        with fresh.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            fresh.chmod(stat.S_IMODE(mode))
        os.replace(fresh, target)


def _locked_folder(parent: Path, prefix: str) -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = _lock(folder, wait=True)
        if folder.is_dir():  # else another took it for a dead one's before it was locked
            return folder, lock
        if lock is not None:
            os.close(lock)


def _sweep(parent: Path, prefix: str) -> None:
    """Removes what nobody holds. Nothing of this is worth an error."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        with os.scandir(parent) as entries:
            found = [Path(entry.path) for entry in entries if entry.name.startswith(prefix)]
        for folder in found:
            with contextlib.suppress(OSError):
                _remove_dead(folder)


def _remove_dead(folder: Path) -> None:
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
        return
    lock = _lock(folder, wait=False)
    if lock is not None:
        try:
            _put_back(folder)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _lock(folder: Path, wait: bool) -> int | None:
    """A descriptor that holds the folder; None when another process has it, or has removed it."""
    if os.name != "posix":
        return None
    import fcntl

    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
