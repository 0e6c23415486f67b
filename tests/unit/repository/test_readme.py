"""The README's first screens: what it does, how to try it; the rest stands behind "Inside"."""

from pathlib import Path

ROOT = Path(__file__).parents[3]
MOST_BEFORE_INSIDE = 100


def test_the_first_screens_are_short() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert lines.count("## Inside") == 1
    assert lines.index("## Inside") <= MOST_BEFORE_INSIDE
