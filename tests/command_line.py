"""The command line in this process, as the installed `edgeq` would run it."""

import sys

import pytest

from edgeq import cli


def run_cli(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of `edgeq WORDS`."""
    monkeypatch.setattr(sys, "argv", ["edgeq", *words])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0
