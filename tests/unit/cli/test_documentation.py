"""docs/commands.md: every command and option that it names is there, its edgeq.toml is accepted."""

import re
from pathlib import Path
from typing import Any

import click
import pytest

from edgeq.cli import cli
from edgeq.cli.project import read_project
from tests.unit.cli.conftest import ROOT

PAGE = (ROOT / "docs" / "commands.md").read_text()
SECTIONS = re.findall(r"^### edgeq ([a-z ]+)(.*?)(?=^### |\Z)", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("words", "text"), SECTIONS, ids=[words for words, _ in SECTIONS])
def test_every_option_of_the_page_is_there(words: str, text: str) -> None:
    command: Any = cli
    for word in words.split():
        command = command.commands[word]
    named = set(re.findall(r"`(--[a-z-]+)`", text.partition("|---|---|")[2]))
    known = {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    assert named <= known


def test_its_project_file_is_accepted(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "edgeq.toml").write_text(example)
    read = read_project(cli, tmp_path / "edgeq.toml")
    assert read["export"]["target"] == "nucleo_f446re"
    assert read["bench"]["kernels"]["board"] == "virtual_m0plus"
