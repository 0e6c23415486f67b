"""The command line in this process, as the installed `edgeq` would run it."""

import sys
from typing import NamedTuple

import pytest

from edgeq import cli


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def run_cli(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of `edgeq WORDS`."""
    monkeypatch.setattr(sys, "argv", ["edgeq", *words])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def run_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *words: object
) -> Ended:
    """The same, with what it wrote."""
    capfd.readouterr()
    code = run_cli(monkeypatch, *map(str, words))
    return Ended(code, *capfd.readouterr())
