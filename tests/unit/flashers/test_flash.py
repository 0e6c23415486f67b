"""The choice of the tool, the exact commands, and what becomes of a tool that fails."""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeq import flashers
from edgeq.board import Board, all_boards, load_board
from edgeq.errors import BadInput, Flash, Link, Toolchain
from edgeq.flashers import openocd, pyocd
from edgeq.flashers.flasher import Facts, run_commands
from edgeq.toolchain import Firmware
from tests.hang import HANG_S
from tests.unit.flashers.conftest import firmware_at, surroundings, usb

F446 = load_board("nucleo_f446re")
PROBE = surroundings(usb("/dev/ttyACM0", serial_number="066F"))


@pytest.fixture
def no_pyocd(monkeypatch: pytest.MonkeyPatch) -> None:
    """pyOCD is not installed beside this Python."""
    monkeypatch.setattr(pyocd, "importable", lambda: False)


def flash(firmware: Firmware, board: Board = F446, **options: Any) -> dict[str, Any]:
    return flashers.flash(firmware, board, **{"look": lambda: PROBE, **options})


@pytest.mark.parametrize("board", [pytest.param(b, id=b.name) for b in all_boards()])
def test_a_dry_run_names_every_command_without_any_tool(
    board: Board, firmware: Firmware, no_tools: Path
) -> None:
    for tool in board.probe.flashers:
        result = flash(firmware, board, tool=tool, dry_run=True, look=surroundings)
        assert (result["tool"], result["port"], result["pid"]) == (tool, None, None)
        assert result["dry_run"] is True
        assert any(str(firmware.elf.resolve().parent) in command for command in result["commands"])
    json.dumps(result)


@pytest.mark.parametrize(
    ("here", "session"),
    [
        (False, ["pyocd", "load", "--no-wait"]),
        (True, [sys.executable, "-m", "edgeq.flashers.pyocd_session"]),
    ],
)
def test_the_commands_of_the_real_boards(
    firmware: Firmware,
    no_tools: Path,
    here: bool,
    session: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pyocd, "importable", lambda: here)
    monkeypatch.setattr(pyocd, "_knows", lambda _target: True)
    elf = str(firmware.elf.resolve())
    program = f"program {{{elf}}} verify reset exit"
    wanted = {
        "openocd": ["openocd", "-f", "board/st_nucleo_f4.cfg", "-c", program],
        "pyocd": [*session, "--target", "stm32f446retx", elf],
        "cubeprogrammer": ["STM32_Programmer_CLI", "-c", "port=SWD", "-w", elf, "-v", "-rst"],
    }
    for tool, command in wanted.items():
        result = flash(firmware, tool=tool, dry_run=True, look=surroundings)
        assert [shlex.split(text) for text in result["commands"]] == [command]


def test_paths_with_spaces_survive_the_shell(tmp_path: Path, no_tools: Path) -> None:
    spaced = firmware_at(tmp_path / "my models; rm")
    result = flash(spaced, tool="cubeprogrammer", dry_run=True)
    assert str(spaced.elf.resolve()) in shlex.split(result["commands"][0])


def test_openocd_itself_reads_the_path_whole(tmp_path: Path) -> None:
    if shutil.which("openocd") is None:
        pytest.skip("openocd is not installed")
    spaced = firmware_at(tmp_path / "my [models] $HOME")
    script = openocd.commands(spaced, F446, Facts(("openocd",)))[0][-1]
    # OpenOCD's own `program`, with the commands that would need a probe put aside
    aside = "proc init {} {}; proc reset {args} {}; proc poll {args} {}; "
    aside += "proc flash {args} {echo [lindex $args 2]}; proc verify_image {path} {echo $path}"
    run = subprocess.run(
        ["openocd", "-c", aside, "-c", script], capture_output=True, text=True, timeout=HANG_S
    )
    assert run.stderr.splitlines().count(str(spaced.elf)) == 2, run.stderr


def test_a_path_openocd_cannot_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="OpenOCD cannot take the path"):
        openocd.commands(firmware_at(tmp_path / "a}b"), F446, Facts(("openocd",)))


def test_the_first_tool_that_is_here_is_taken(
    firmware: Firmware, fake_tool: Callable[..., Path], no_pyocd: None
) -> None:
    fake_tool("STM32_Programmer_CLI")
    assert flash(firmware)["tool"] == "cubeprogrammer"
    record = fake_tool("pyocd")
    result = flash(firmware)
    assert (result["tool"], result["port"], result["hint"]) == ("pyocd", "/dev/ttyACM0", None)
    assert record.read_text().splitlines() == shlex.split(result["commands"][0])[1:]
    assert record.read_text().splitlines()[4:6] == ["--uid", "066F"]
    fake_tool("openocd")
    assert flash(firmware)["tool"] == "openocd"
    assert flash(firmware, tool="pyocd")["tool"] == "pyocd"


def test_a_tool_that_fails_is_quoted_with_the_next_step(
    firmware: Firmware, fake_tool: Callable[..., Path]
) -> None:
    fake_tool("openocd", "echo 'Error: open failed' >&2; exit 1")
    with pytest.raises(Flash, match=r"(?s)openocd failed .* 1:.*open failed.*--with: mass_storage"):
        flash(firmware)


def test_pyocd_without_the_part_names_the_pack_command(
    firmware: Firmware, fake_tool: Callable[..., Path], no_pyocd: None
) -> None:
    fake_tool("pyocd", "echo 'C Target type stm32f446retx not recognized. Use' >&2; exit 1")
    with pytest.raises(Flash, match="pyocd pack install stm32f446retx"):
        flash(firmware, tool="pyocd")
    fake_tool("pyocd", "echo 'C No connected debug probes' >&2; exit 1")
    with pytest.raises(Flash) as failed:
        flash(firmware, tool="pyocd")
    assert "pack" not in str(failed.value)
    hint = flash(firmware, tool="pyocd", dry_run=True)["hint"]
    assert "Keil.STM32F4xx_DFP" in hint
    assert "pyocd pack install stm32f446retx" in hint


def test_a_builtin_part_needs_no_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyocd, "importable", lambda: True)
    monkeypatch.setattr(pyocd, "_knows", lambda target: target == "stm32f446retx")
    assert pyocd.pack_hint(F446) is None
    assert pyocd.pack_hint(load_board("nucleo_l4r5zi")) is not None


@pytest.mark.parametrize(
    ("board", "tool", "says"),
    [
        ("qemu_mps2_an386", None, "apt install qemu-system-arm"),
        ("nucleo_f446re", "openocd", "apt install openocd"),
        ("nucleo_f446re", "cubeprogrammer", "st.com"),
        ("nucleo_f446re", None, "no tool can flash nucleo_f446re: openocd is not"),
    ],
)
def test_a_missing_tool_says_how_to_install_it(
    board: str, tool: str | None, says: str, firmware: Firmware, no_tools: Path, no_pyocd: None
) -> None:
    with pytest.raises(Toolchain, match=says) as missing:
        flash(firmware, load_board(board), tool=tool)
    assert missing.value.exit_code == 7


@pytest.mark.parametrize("tool", ["hammer", "qemu"])
def test_a_tool_that_is_none_of_the_boards_is_refused(tool: str, firmware: Firmware) -> None:
    with pytest.raises(BadInput, match=f"'{tool}' is no tool.*openocd, mass_storage, pyocd"):
        flash(firmware, tool=tool, dry_run=True)


def test_a_board_that_is_not_attached_is_not_flashed_unless_a_tool_is_named(
    firmware: Firmware, fake_tool: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flashers, "serial_port", lambda *_: None)  # its own test waits for real
    record = fake_tool("openocd")
    with pytest.raises(Link, match="not attached"):
        flash(firmware, look=surroundings)
    assert not record.exists()
    result = flash(firmware, look=surroundings, tool="openocd")
    assert result["port"] is None
    assert "--port PORT" in result["hint"]


def test_several_probes_are_not_guessed_between(
    firmware: Firmware, fake_tool: Callable[..., Path]
) -> None:
    record = fake_tool("openocd")
    two = surroundings(usb("/dev/ttyACM0"), usb("/dev/ttyACM1"))
    with pytest.raises(Link, match="2 probes"):
        flash(firmware, look=lambda: two, tool="openocd")
    assert not record.exists()


def test_a_tool_that_hangs_is_stopped() -> None:
    with pytest.raises(Flash, match=r"(?s)sh did not end within 4 s.*erasing"):
        run_commands((("/bin/sh", "-c", "echo erasing; exec sleep 60"),), timeout_s=4.0)


def test_a_program_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("no program")
    with pytest.raises(Toolchain, match="cannot be run"):
        run_commands(((str(tmp_path / "tool"),),))


def test_every_tool_of_every_board_is_in_the_table() -> None:
    assert {tool for board in all_boards() for tool in board.probe.flashers} == {*flashers.FLASHERS}


def test_flashing_imports_no_compiler_of_models() -> None:
    code = (
        "import sys, edgeq.cli, edgeq.flashers, edgeq.flashers.text; "
        "print([m for m in ('torch', 'onnx', 'edgeq.ir', 'edgeq.ops', 'edgeq.kernels') "
        "if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_S
    )
    assert run.stdout == "[]\n", run.stderr
