"""edgeq: from a trained quantized mixture of experts to a microcontroller that runs it."""

from typing import Any

__version__ = "0.1.0"

_VERBS = {
    "load": "edgeq.nn",
    "save": "edgeq.nn",
    "export": "edgeq.pipeline",
    "estimate": "edgeq.pipeline",
    "flash": "edgeq.pipeline",
    "profile": "edgeq.pipeline",
    "read_run": "edgeq.harness.trace",
}


def __getattr__(name: str) -> Any:
    """The public verbs, imported when first used: `import edgeq` stays free of torch."""
    if name not in _VERBS:
        raise AttributeError(f"module 'edgeq' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_VERBS[name]), name)
