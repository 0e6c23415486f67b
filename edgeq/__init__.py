"""edgeq: from a trained quantized mixture of experts to a microcontroller that runs it.

The functions mirror the commands; docs/python.md shows them at work.
"""

import sys
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

_VERBS = {
    "load": "edgeq.nn",
    "save": "edgeq.nn",
    "export": "edgeq.pipeline",
    "estimate": "edgeq.pipeline",
    "verify": "edgeq.pipeline",
    "build": "edgeq.pipeline",
    "flash": "edgeq.pipeline",
    "profile": "edgeq.pipeline",
    "read_run": "edgeq.harness.trace",
    "report": "edgeq.verbs",
    "compare": "edgeq.compare.comparison",
    "boards": "edgeq.verbs",
    "meters": "edgeq.verbs",
    "stop": "edgeq.verbs",
    "doctor": "edgeq.verbs",
}


class _Package(ModuleType):
    """Some verbs have the name of the package they live in, and stay verbs when it is imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _VERBS and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        """The public verbs, imported when first used: `import edgeq` stays free of torch."""
        if name not in _VERBS:
            raise AttributeError(f"module 'edgeq' has no attribute {name!r}")
        import importlib

        return getattr(importlib.import_module(_VERBS[name]), name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_VERBS})


sys.modules[__name__].__class__ = _Package
