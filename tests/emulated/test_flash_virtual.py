"""`edgeq flash --virtual`: a real board's twin is started, listed, profiled and stopped."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgeq import flashers
from edgeq.board import load_board
from edgeq.cli import cli
from edgeq.emit.firmware import firmware_project
from edgeq.errors import BadInput
from edgeq.memory import plan_memory
from edgeq.reporting.clock_model import clock_model, clock_words
from edgeq.weights import pack_weights
from tests.emulated.test_twins import REAL
from tests.factory import smallest_mixture
from tests.tiny_export import DIGEST, tiny_export
from tests.unit.flashers.conftest import firmware_at, runtime, surroundings  # noqa: F401

SAMPLES = 5
BOARDS = [pytest.param(name, marks=() if name == "rpi_pico" else pytest.mark.full) for name in REAL]


def said(*arguments: str | Path) -> Any:
    """The JSON object of a command that must succeed."""
    ended = CliRunner().invoke(cli, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny_export(tmp_path_factory.mktemp("export"), SAMPLES)
    graph = smallest_mixture()
    firmware_project(
        graph, plan_memory(graph), pack_weights(graph), model_name="tiny", digest=DIGEST
    ).write(folder / "firmware")
    return folder


@pytest.mark.parametrize("name", BOARDS)
def test_the_twin_of_a_board_from_flash_to_profile_to_stop(name: str, exported: Path) -> None:
    board = load_board(name)
    where = ("--firmware", exported)
    plain = said("flash", "--board", name, "--dry-run", *where)
    elf = Path(plain["elf"]).read_bytes()
    started = said("flash", "--board", name, "--virtual", *where)
    assert (started["tool"], started["firmware_digest"]) == ("virtual", plain["firmware_digest"])
    assert Path(started["elf"]).read_bytes() == elf, "not the ELF that would be flashed"
    assert "latency modelled" in started["hint"]
    (listed,) = said("boards")["running"]
    assert (listed["board"], listed["tool"], listed["port"]) == (name, "virtual", started["port"])
    profile = said("profile", *where)
    assert (profile["samples"], profile["mismatches"]) == (SAMPLES, 0)
    assert (profile["board"], profile["clock_hz"]) == (name, board.clock_hz)
    assert profile["firmware_digest"] == started["firmware_digest"]
    assert profile["evidence"] == "emulator"
    assert profile["latency"]["source"] == "modelled"
    assert profile["latency"]["mean"] > 0
    (said_of_clock,) = [note for note in profile["notes"] if f"rules {board.core}" in note]
    assert clock_words(clock_model(board)) in said_of_clock, "not the words of `edgeq estimate`"
    assert board.flash.cache is not None
    assert f"cache_miss_cycles {board.flash.cache.miss_cycles}" in said_of_clock
    assert [each["pid"] for each in said("stop")["stopped"]] == [started["pid"]]
    assert flashers.running() == ()


def test_without_the_twin_the_same_board_is_not_called_modelled(tmp_path: Path) -> None:
    """A port that no virtual board serves: whatever answers there, edgeq has not modelled it."""
    assert not flashers.is_virtual(str(tmp_path / "ttyACM0"))


def test_the_twin_is_never_taken_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    board = load_board("nrf52840dk")
    result = flashers.flash(firmware_at(tmp_path), board, dry_run=True, look=surroundings)
    assert result["tool"] in board.probe.flashers


def test_virtual_and_another_tool_contradict() -> None:
    ended = CliRunner().invoke(cli, ["flash", "--virtual", "--tool", "openocd"])
    assert ended.exit_code == 2
    assert "--with openocd flashes" in ended.output


def test_a_board_whose_peripherals_have_no_model_is_refused(tmp_path: Path) -> None:
    board = load_board("nrf52840dk")
    port = board.port.model_copy(update={"family": "imx_rt"})
    with pytest.raises(BadInput, match=r"no virtual twin of nrf52840dk: .*'imx_rt'.*rp2040"):
        flashers.flash(
            firmware_at(tmp_path),
            board.model_copy(update={"port": port}),
            tool="virtual",
            look=surroundings,
        )
