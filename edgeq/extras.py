"""What is beyond the base install: the extras of the package, and the error that names one.

`pip install edgeq` flashes, profiles, estimates an export folder and reports. The rest stands in
extras; who needs one says so here, before anything heavy is imported.
"""

import functools
import importlib.util
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from edgeq.errors import Toolchain

_P = ParamSpec("_P")
_R = TypeVar("_R")

# the modules of pyproject's optional dependencies; a test compares the two
EXTRAS: dict[str, tuple[str, ...]] = {
    "export": (
        "torch",
        "onnx",
        "onnxruntime",
        "ai_edge_litert",
        "flatbuffers",
        "scipy",
    ),
    "zig": ("ziglang",),
    "parquet": ("pyarrow",),
    "report": ("plotly", "choreographer", "scipy"),
    "sound": ("scipy",),
    "tensorflow": ("tensorflow",),
    "joulescope": ("joulescope",),
    "pyocd": ("pyocd",),
    "esptool": ("esptool",),
}


def installed(module: str) -> bool:
    """Whether a top-level module could be imported; it is not."""
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # one that was put into sys.modules without a spec
        return True


def install(extra: str) -> str:
    """The command that brings an extra."""
    return f"pip install 'edgeq[{extra}]'"


def require(extra: str, what: str) -> None:
    """Raises Toolchain when a module of the extra lacks; `what` is the work that needs it."""
    lacking = [module for module in EXTRAS[extra] if not installed(module)]
    if lacking:
        verb = "is" if len(lacking) == 1 else "are"
        raise Toolchain(
            f"{what} needs {', '.join(lacking)}, which {verb} not installed: {install(extra)}"
        )


def needs(extra: str, what: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """A decorator: `require` whenever the function is called."""

    def guard(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            require(extra, what)
            return function(*args, **kwargs)

        return guarded

    return guard


def extra_of(module: str) -> str | None:
    """The first extra that brings a module, None for what the base needs.

    >>> extra_of("pyarrow.parquet"), extra_of("numpy")
    ('parquet', None)
    """
    top = module.partition(".")[0]
    return next((extra for extra, modules in EXTRAS.items() if top in modules), None)
