"""Scripts of examples/ as modules: several folders have a `train`, `features` or `table`."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

EXAMPLES = Path(__file__).parents[1] / "examples"


@contextmanager
def script(folder: Path, name: str) -> Iterator[ModuleType]:
    """`name`.py of the folder, its neighbours importable; path and modules are restored."""
    path, before = [*sys.path], _loaded()
    for each in before:
        del sys.modules[each]
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module(name)
    finally:
        sys.path[:] = path
        for each in _loaded():
            del sys.modules[each]
        sys.modules.update(before)


def _loaded() -> dict[str, ModuleType]:
    """The modules of any example."""
    return {n: m for n, m in [*sys.modules.items()] if EXAMPLES in Path(_file(m)).parents}


def _file(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or ""
