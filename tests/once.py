"""Work that test processes share: the first one does it, the others wait and find it done."""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that `make` filled, one for all workers of this run; every `make` has a deadline.

    A worker is told by its folder, not by its environment: a pytest that a worker's test starts has
    that too, and its folder's parent is that of every run before, of other sources.
    """
    root = factory.getbasetemp()
    if root.name.startswith("popen-"):
        root = root.parent  # of the workers' own folders
    folder, partial = root / name, root / f"{name}.partial"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            make(partial)
            partial.rename(folder)
    return folder
