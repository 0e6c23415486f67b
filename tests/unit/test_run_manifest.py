"""The command that a run's manifest names."""

import sys

import pytest

from edgeq import run_manifest


@pytest.mark.parametrize("program", ["/somewhere/edgeq/__main__.py", "/usr/bin/edgeq", "edgeq"])
def test_a_command_reads_as_it_is_typed(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [program, "profile", "--json"])
    assert run_manifest.session_of_now().command == ("edgeq", "profile", "--json")
