"""The Python API: its page runs as written, docstrings too; importing it loads nothing heavy."""

import ast
import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import edgeq
from edgeq.errors import BadInput, Toolchain
from edgeq.toolchain import find_compiler
from tests.hang import HANG_S

ROOT = Path(__file__).parents[1]
FLAGS = doctest.ELLIPSIS
EXAMPLES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for path in (ROOT / "edgeq").rglob("*.py")
    if ">>> " in path.read_text()
)


def test_the_page_runs_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        find_compiler("auto")
    except Toolchain as error:
        pytest.skip(str(error))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    page = str(ROOT / "docs" / "python.md")
    failed, tried = doctest.testfile(page, module_relative=False, optionflags=FLAGS)
    assert (failed, tried > 20) == (0, True)


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_in_docstrings(module: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(module), optionflags=FLAGS)
    assert (failed, tried > 0) == (0, True)


def test_verbs_are_listed_and_stay_verbs() -> None:
    for name in edgeq._VERBS:
        assert callable(getattr(edgeq, name)), name
        assert name in dir(edgeq)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = edgeq.nothing


def test_no_module_hides_a_verb() -> None:
    modules = {module.name for module in pkgutil.iter_modules(edgeq.__path__)}
    assert {"comparing", "cli", "board"} <= modules
    assert not modules & edgeq._VERBS.keys()
    for name in sorted(modules - {"__main__"}):
        importlib.import_module(f"edgeq.{name}")
    assert not [name for name in edgeq._VERBS if isinstance(getattr(edgeq, name), ModuleType)]


def test_a_type_checker_sees_every_verb() -> None:
    tree = ast.parse((ROOT / "edgeq" / "__init__.py").read_text())
    seen = {
        alias.asname: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    assert seen == edgeq._VERBS


def test_the_page_names_every_verb() -> None:
    text = (ROOT / "docs" / "python.md").read_text()
    assert not [name for name in edgeq._VERBS if f"`edgeq.{name}" not in text]


def test_looking_at_the_api_loads_no_torch() -> None:
    code = (
        "import sys, edgeq; dir(edgeq); edgeq.profile, edgeq.compare, edgeq.read_run, edgeq.boards;"
        "print([m for m in ('torch', 'onnx', 'onnxruntime', 'ai_edge_litert') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_S
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_stop_wants_one_choice() -> None:
    with pytest.raises(BadInput, match="not both"):
        edgeq.stop("/dev/pts/1", everything=True)
