"""Tests wait for what must come as long as a hang, so that a busy machine is no failure.

A shorter wait is right where its end is what is tested, or where the clock is the guest's.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hang import HANG_S

ROOT = Path(__file__).parents[3]
SECONDS = {"timeout", "timeout_s", "deadline_s", "infer_timeout"}
ENDS = {  # the wait is meant to run out, or its end only ends it
    "tests/hostile/surfaces/lines.py",  # by the clock of a case, which reading moves
    "tests/unit/emit/test_apart.py",  # a child that sleeps
    "tests/unit/flashers/test_flasher.py",  # tools that never end
    "tests/unit/harness/test_link.py",  # ports that are silent or speak something else
    "tests/unit/sim/test_machine.py",  # a program that never ends
}
LEAST_S = 300.0  # compilers and programs that only compute


def short_waits(text: str) -> Iterator[tuple[int, str]]:
    """(line, source) of every wait shorter than that, but for those that are to run out."""
    tree = ast.parse(text)
    refused = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.With) and "pytest.raises" in ast.unparse(node.items[0])
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or id(node) in refused:
            continue
        seconds = [k.value for k in node.keywords if k.arg in SECONDS]
        if isinstance(node.func, ast.Attribute) and node.func.attr == "join":
            seconds += node.args
        if isinstance(node.func, ast.Attribute) and node.func.attr == "Serial":
            continue  # one look at the port, in a loop
        for value in seconds:
            number = value.value if isinstance(value, ast.Constant) else None
            if isinstance(number, int | float) and number < LEAST_S:
                yield node.lineno, ast.unparse(node)


def test_case_31_nothing_is_judged_by_the_wall_clock_but_hangs() -> None:
    assert LEAST_S <= HANG_S
    found = [
        f"{name}:{line}: {source}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if (name := str(path.relative_to(ROOT))) not in ENDS
        for line, source in short_waits(path.read_text(encoding="utf-8"))
    ]
    assert not found, "wait HANG_S (tests/hang.py) for what must come"


@pytest.mark.parametrize(
    ("source", "short"),
    [
        ("subprocess.run(command, timeout=60)", True),
        ("thread.join(5)", True),
        ("subprocess.run(command, timeout=HANG_S)", False),
        ("with pytest.raises(Link):\n    BoardLink.open(port, timeout=0.5)", False),
    ],
)
def test_a_short_wait_would_be_seen(source: str, short: bool) -> None:
    assert bool(list(short_waits(source))) is short
