"""One meaning a word: what once meant several things is defined once, and has no second name."""

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[3]
WORDS = ("Builder", "KINDS", "Kind", "Link", "PARAMS", "Profile", "Run", "Subject")


def defined(node: ast.stmt) -> list[str]:
    """The names that a statement of a module defines."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return [node.name]
    if isinstance(node, ast.AnnAssign):
        return [node.target.id] if isinstance(node.target, ast.Name) else []
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def test_each_word_is_defined_once_and_never_imported_as_another() -> None:
    trees = [ast.parse(path.read_text()) for path in (ROOT / "edgeq").rglob("*.py")]
    found = Counter(name for tree in trees for node in tree.body for name in defined(node))
    assert found["Link"] == found["Run"] == found["BoardLink"] == 1
    assert not [word for word in WORDS if found[word] > 1]
    aliased = [
        alias.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname not in (None, alias.name) and alias.name in WORDS
    ]
    assert not aliased


def test_no_two_test_files_share_a_name_that_pytest_takes_for_one() -> None:
    files = [
        p for p in (ROOT / "tests").rglob("test_*.py") if not (p.parent / "__init__.py").exists()
    ]
    assert len(files) > 50
    assert not [name for name, count in Counter(p.name for p in files).items() if count > 1]
