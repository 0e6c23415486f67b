"""`edgeq.toml` and `--show-config`: who wins, what is refused, and in which words."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from edgeq.cli import cli
from edgeq.cli.group import settings
from edgeq.cli.project import read_project
from edgeq.errors import BadInput
from tests.unit.cli.conftest import Run


def shown(edgeq: Run, *arguments: object, **options: Any) -> dict[str, Any]:
    ended = edgeq(*arguments, "--show-config", "--json", **options)
    assert ended.returncode == 0, ended.stderr
    values: dict[str, Any] = json.loads(ended.stdout)
    return values


def test_the_command_line_wins_then_the_environment_then_the_file(
    edgeq: Run, tmp_path: Path
) -> None:
    file = tmp_path / "edgeq.toml"
    file.write_text('[export]\ntarget = "cortex-m4"\nmethod = "minmax"\noptimize = "size"\n')
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    told = shown(
        edgeq,
        *("export", "--optimize", "latency"),
        cwd=inner,
        EDGEQ_EXPORT_METHOD="percentile",
        EDGEQ_EXPORT_OPTIMIZE="size",
    )
    assert (told["command"], told["file"]) == ("edgeq export", str(file))
    values = told["values"]
    assert values["optimize"] == {"value": "latency", "source": "command line"}
    assert values["method"]["value"] == "percentile"
    assert values["method"]["source"] == "environment, EDGEQ_EXPORT_METHOD"
    assert values["target"] == {"value": "cortex-m4", "source": str(file)}
    assert values["compiler"] == {"value": "auto", "source": "default"}
    assert values["model"] == {"value": None, "source": "default"}


def test_the_nearest_file_counts_alone(edgeq: Run, tmp_path: Path) -> None:
    (tmp_path / "edgeq.toml").write_text('[export]\nmethod = "minmax"\n')
    near = tmp_path / "near"
    near.mkdir()
    (near / "edgeq.toml").write_text('[export]\ntarget = "virtual_m4"\n')
    values = shown(edgeq, "export", cwd=near)["values"]
    assert values["target"]["value"] == "virtual_m4"
    assert values["method"] == {"value": "mse", "source": "default"}


def test_paths_are_relative_to_the_file(edgeq: Run, tmp_path: Path) -> None:
    (tmp_path / "edgeq.toml").write_text('[flash]\nfirmware = "build/x"\n[profile]\ndata="/d.npz"')
    (tmp_path / "inner").mkdir()
    values = shown(edgeq, "flash", cwd=tmp_path / "inner")["values"]
    assert values["firmware"]["value"] == "../build/x"
    assert shown(edgeq, "profile")["values"]["data"]["value"] == "/d.npz"


def test_a_value_of_the_file_is_what_the_command_takes(edgeq: Run, tmp_path: Path) -> None:
    """The board of the file is looked up, in the command's own words."""
    (tmp_path / "edgeq.toml").write_text('[bench.kernels]\nboard = "nowhere"\n')
    ended = edgeq("bench", "kernels", "--kernel", "edgeq_relu_s8")
    assert ended.returncode == 2
    assert "unknown board 'nowhere'" in ended.stderr


def test_config_tells_all_commands_or_some(edgeq: Run, tmp_path: Path) -> None:
    (tmp_path / "edgeq.toml").write_text("[profile]\nlimit = 7\n")
    told = json.loads(edgeq("config", "--json").stdout)
    assert {"export", "flash", "profile", "bench kernels"} <= told["commands"].keys()
    assert told["commands"]["profile"]["limit"]["value"] == 7
    told = json.loads(edgeq("config", "bench", "kernels", "--json").stdout)
    assert list(told["commands"]) == ["bench kernels"]
    text = edgeq("config", "profile").stdout
    assert text.startswith(f"# {tmp_path / 'edgeq.toml'}\n\n[profile]\n")
    assert f"limit = 7{'':35}# {tmp_path / 'edgeq.toml'}" in text
    ended = edgeq("config", "nothing")
    assert ended.returncode == 2
    assert "there are: export, " in ended.stderr


def test_what_config_prints_is_a_file_again(edgeq: Run, tmp_path: Path) -> None:
    lines = edgeq("config").stdout.splitlines()
    kept = [line for line in lines if "(not set)" not in line]
    (tmp_path / "edgeq.toml").write_text("\n".join(kept))
    told = json.loads(edgeq("config", "--json").stdout)
    assert told["commands"]["export"]["method"]["source"] == str(tmp_path / "edgeq.toml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[exprt]\n", r"unknown table [exprt]; did you mean [export]? Allowed: [advise], "),
        ("[bench.kernel]\n", r"unknown table [bench.kernel]; did you mean [bench.kernels]?"),
        ("[export]\ntarge = 1\n", "[export] unknown key targe; did you mean target? Allowed: mod"),
        ("[export]\nzzz = 1\n", "[export] unknown key zzz. Allowed: model, target, out, "),
        ("export = 1\n", "export is no table; write [export] and its keys"),
        ('[export]\nmethod = "best"\n', "method = 'best': Input should be 'minmax', 'perc"),
        ('[flash]\ndry-run = "yes"\n', "[flash] dry-run = 'yes': Input should be a valid boolean"),
        ('[profile]\nlimit = "5"\n', "limit = '5': Input should be a valid integer"),
        ("[profile]\nlimit = true\n", "limit = True: Input should be a valid integer"),
        ("[compare]\nfail-if = 'x'\n", "fail-if = 'x': Input should be a valid list"),
        ("[export\n", "cannot be read as TOML: Expected ']'"),
        ("\xff", "cannot be read"),
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "edgeq.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInput) as refused:
        read_project(cli, file)
    assert str(refused.value).startswith(f"{file}")
    assert says in str(refused.value)


def test_a_wrong_file_ends_every_command_but_those_that_help(edgeq: Run, tmp_path: Path) -> None:
    (tmp_path / "edgeq.toml").write_text("[nowhere]\n")
    ended = edgeq("boards")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert edgeq("completion", "fish").returncode == 0
    assert edgeq("export", "--help").returncode == 2  # click reads the group's part first
    assert edgeq("--help").returncode == 0


def commands(group: click.Group, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        inner = isinstance(command, click.Group)
        found += commands(command, (*words, name)) if inner else [(*words, name)]
    return found


@pytest.mark.parametrize("words", commands(cli), ids=" ".join)
def test_every_command_shows_its_values_and_runs_nothing(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(cli, [*words, "--show-config"])
    assert ended.exit_code == 0, ended.output
    command: Any = cli
    for word in words:
        command = command.commands[word]
    names = [line.partition(" = ")[0] for line in ended.output.splitlines()]
    assert names == [name for name, _ in settings(command)]
    assert list(tmp_path.iterdir()) == []
