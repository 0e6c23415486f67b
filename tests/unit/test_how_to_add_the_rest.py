"""docs/how_to_add.md from "A bit width" on: its files and diffs make a tree, its sessions run."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how_to_add.md").read_text()
TAUGHT = ("A bit width", "A board", "A core", "A meter")
TOKEN = re.compile(r"^`([\w/]+\.(?:py|toml))`$|^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def section(name: str) -> str:
    return PAGE.partition(f"## {name}\n")[2].partition("\n## ")[0]


def blocks(text: str) -> Iterator[tuple[str, str, str]]:
    """(file named before it, language, text) of each block; a session has the file ""."""
    file = ""
    for path, language, body in TOKEN.findall(text):
        if path:
            file = path
        elif body.startswith(">>>"):
            yield "", "session", body
        elif file:
            yield file, language, body


def changed(whole: str, diff: str) -> str:
    """`whole` with a diff applied whose lines before it must stand there once, and as they are."""
    lines = diff.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if not line.startswith("+"))
    after = "".join(line[1:] for line in lines if not line.startswith("-"))
    assert whole.count(before) == 1, f"these lines do not stand there once:\n{before}"
    return whole.replace(before, after)


def tree(folder: Path) -> Path:
    """The product as it is, with everything that the page adds."""
    for name in ("edgeq", "boards", "firmware_templates"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in TAUGHT:
        for path, language, text in blocks(section(name)):
            if path and language == "diff":
                (folder / path).write_text(changed((folder / path).read_text(), text))
            elif path:
                assert not (folder / path).exists(), f"{path} is there already: show a diff"
                (folder / path).write_text(text)
    return folder


def test_the_page_teaches_every_addition() -> None:
    for name in TAUGHT:
        made = [language for _, language, _ in blocks(section(name))]
        assert "session" in made, name
        assert set(made) > {"session"}, name


@pytest.mark.full
def test_what_the_page_adds_works(tmp_path: Path) -> None:
    made = tree(tmp_path / "tree")
    session = "".join(
        text for name in TAUGHT for path, _, text in blocks(section(name)) if not path
    )
    work = tmp_path / "work"
    work.mkdir()
    (work / "session.txt").write_text(
        f">>> import edgeq\n>>> edgeq.__file__\n{str(made / 'edgeq' / '__init__.py')!r}\n{session}"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "doctest", "-o", "FAIL_FAST", "session.txt"],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(made)},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stdout + ran.stderr


def test_a_diff_of_another_tree_is_no_diff_of_this_one() -> None:
    assert changed("a\nb\n", " a\n+new\n b\n") == "a\nnew\nb\n"
    assert changed("a\nb\n", "-a\n+A\n") == "A\nb\n"
    for whole in ("a\nc\n", "a\nb\na\nb\n"):
        with pytest.raises(AssertionError, match="do not stand there once"):
            changed(whole, " a\n+new\n b\n")
