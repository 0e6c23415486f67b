"""No function above 50 lines, no file above 400."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
MOST_OF_A_FUNCTION = 50
MOST_OF_A_FILE = 400


def too_long(name: str, text: str) -> Iterator[str]:
    """The name of a file that is too long, then "FILE: FUNCTION" of each such function."""
    if len(text.splitlines()) > MOST_OF_A_FILE:
        yield name
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > MOST_OF_A_FUNCTION:
                yield f"{name}: {node.name}"


def test_everything_is_short() -> None:
    files = [p for top in ("edgeq", "examples", "tests") for p in (ROOT / top).rglob("*.py")]
    assert len(files) > 300
    names = [path.relative_to(ROOT).as_posix() for path in files]
    found = {
        long
        for name, path in zip(names, files, strict=True)
        for long in too_long(name, path.read_text())
    }
    assert not found, "cut it; the limits stand above"


def test_one_line_too_many_is_seen() -> None:
    def function(lines: int) -> str:
        return "def f():\n" + "    pass\n" * (lines - 1)

    assert list(too_long("x.py", function(50))) == []
    assert list(too_long("x.py", function(51))) == ["x.py: f"]
    assert list(
        too_long("x.py", "class A:\n    async " + function(51).replace("\n", "\n    "))
    ) == ["x.py: f"]
    assert list(too_long("x.py", "pass\n" * 400)) == []
    assert list(too_long("x.py", "pass\n" * 401)) == ["x.py"]
