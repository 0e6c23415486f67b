"""edgeq: from a trained quantized mixture of experts to a microcontroller that runs it.

The functions mirror the commands; docs/python.md shows them at work. No package in here may have
the name of a verb: importing it would hide the verb.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors and type checkers, which call no __getattr__
    from edgeq.comparing.comparison import compare as compare
    from edgeq.frontend.torch_module import from_torch as from_torch
    from edgeq.harness.trace import read_run as read_run
    from edgeq.nn import from_curious_qmoe as from_curious_qmoe
    from edgeq.nn import load as load
    from edgeq.nn import mixture_of as mixture_of
    from edgeq.nn import quantize as quantize
    from edgeq.nn import save as save
    from edgeq.pipeline import build as build
    from edgeq.pipeline import estimate as estimate
    from edgeq.pipeline import export as export
    from edgeq.pipeline import flash as flash
    from edgeq.pipeline import profile as profile
    from edgeq.pipeline import verify as verify
    from edgeq.sources import from_onnx as from_onnx
    from edgeq.verbs import boards as boards
    from edgeq.verbs import doctor as doctor
    from edgeq.verbs import meters as meters
    from edgeq.verbs import mix as mix
    from edgeq.verbs import report as report
    from edgeq.verbs import stop as stop

__version__ = "0.1.0"

_VERBS = {
    "from_torch": "edgeq.frontend.torch_module",
    "load": "edgeq.nn",
    "quantize": "edgeq.nn",
    "save": "edgeq.nn",
    "from_curious_qmoe": "edgeq.nn",
    "mixture_of": "edgeq.nn",
    "mix": "edgeq.verbs",
    "from_onnx": "edgeq.sources",
    "export": "edgeq.pipeline",
    "estimate": "edgeq.pipeline",
    "verify": "edgeq.pipeline",
    "build": "edgeq.pipeline",
    "flash": "edgeq.pipeline",
    "profile": "edgeq.pipeline",
    "read_run": "edgeq.harness.trace",
    "report": "edgeq.verbs",
    "compare": "edgeq.comparing.comparison",
    "boards": "edgeq.verbs",
    "meters": "edgeq.verbs",
    "stop": "edgeq.verbs",
    "doctor": "edgeq.verbs",
}


def __getattr__(name: str) -> object:
    """The public verbs, imported when first used: `import edgeq` stays free of torch."""
    if name not in _VERBS:
        raise AttributeError(f"module 'edgeq' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_VERBS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_VERBS})
