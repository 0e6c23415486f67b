"""The Python API: its page runs as written, docstrings too; importing it loads nothing heavy."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

import edgeq
from edgeq.arrays import Layout
from edgeq.errors import BadInput
from tests.hang import HANG_S
from tests.pages import run_page

ROOT = Path(__file__).parents[1]
FLAGS = doctest.ELLIPSIS
EXAMPLES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for path in (ROOT / "edgeq").rglob("*.py")
    if ">>> " in path.read_text()
)


@pytest.mark.full
def test_the_page_runs_as_written(tmp_path: Path) -> None:
    failed, tried = run_page("python.md", tmp_path, FLAGS)
    assert (failed, tried > 20) == (0, True)


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_in_docstrings(module: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(module), optionflags=FLAGS)
    assert (failed, tried > 0) == (0, True)


VERBS = sorted(set(edgeq.__all__) - {"__version__"})
BEHIND = {  # of the functions that only pass on what they are given
    "from_torch": "edgeq.frontend.torch_module",
    "from_keras": "edgeq.float_files",
    "from_onnx": "edgeq.float_files",
    "from_tflite": "edgeq.float_files",
    "load": "edgeq.nn",
    "save": "edgeq.nn",
    "quantize": "edgeq.nn",
    "mixture_of": "edgeq.nn",
    "from_curious_qmoe": "edgeq.nn",
    "read_run": "edgeq.harness.trace",
    "compare": "edgeq.comparing.comparison",
}


def defined(name: str) -> ast.FunctionDef:
    path = sys.modules[getattr(edgeq, name).__module__].__file__
    assert path
    body = ast.parse(Path(path).read_text()).body
    return next(n for n in body if isinstance(n, ast.FunctionDef) and n.name == name)


def passes_on(node: ast.FunctionDef) -> bool:
    """A docstring, an import of the same name, and a call of that."""
    return len(node.body) == 3 and any(
        alias.name == node.name
        for each in node.body
        if isinstance(each, ast.ImportFrom)
        for alias in each.names
    )


def test_the_api_is_plain_functions_of_every_verb() -> None:
    for name in VERBS:
        assert isinstance(getattr(edgeq, name), FunctionType), name
        assert name in dir(edgeq)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = edgeq.nothing
    assert not vars(edgeq).keys() & {"__getattr__", "__dir__"}


def test_what_passes_on_says_what_is_behind_it() -> None:
    """The same signature, defaults and docstring."""
    assert {name for name in VERBS if passes_on(defined(name))} == BEHIND.keys()
    for name, module in BEHIND.items():
        ours, theirs = getattr(edgeq, name), getattr(importlib.import_module(module), name)
        assert ours.__doc__ == theirs.__doc__, name
        assert told(ours) == told(theirs), name


def told(function: Callable[..., object]) -> list[tuple[str, str, object, object]]:
    """Name, type, kind and default of each parameter, and what is returned."""
    signature = inspect.signature(function)
    said = [(p.name, plain(p.annotation), p.kind, p.default) for p in signature.parameters.values()]
    return [*said, ("return", plain(signature.return_annotation), None, None)]


def plain(annotation: object) -> str:
    """A type without its modules: `edgeq.nn.model.Model` and "Model" are one."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = text.replace(inspect.formatannotation(Layout | None), "Layout | None")
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", text)


def test_no_module_hides_a_verb() -> None:
    modules = {module.name for module in pkgutil.iter_modules(edgeq.__path__)}
    assert {"comparing", "cli", "board"} <= modules
    assert not modules & set(VERBS)
    for name in sorted(modules - {"__main__"}):
        importlib.import_module(f"edgeq.{name}")
    assert not [name for name in VERBS if isinstance(getattr(edgeq, name), ModuleType)]


def test_the_page_names_every_verb() -> None:
    text = (ROOT / "docs" / "python.md").read_text()
    assert not [name for name in VERBS if f"`edgeq.{name}" not in text]


def test_looking_at_the_api_loads_no_torch() -> None:
    code = (
        "import sys, edgeq; dir(edgeq); edgeq.profile, edgeq.compare, edgeq.read_run, edgeq.boards;"
        "heavy = {'torch', 'numpy', 'pydantic', 'onnx', 'onnxruntime', 'ai_edge_litert'};"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_S
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_stop_wants_one_choice() -> None:
    with pytest.raises(BadInput, match="not both"):
        edgeq.stop("/dev/pts/1", everything=True)
