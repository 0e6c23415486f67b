"""How a tool is run: its progress, its deadline, its end, and tools that misbehave."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeq import flashers
from edgeq.board import load_board
from edgeq.errors import BadInput, Flash, Link
from edgeq.flashers import dfu_util, flasher
from edgeq.flashers.flasher import progress_in, run_commands
from edgeq.flashers.processes import identity
from edgeq.flashers.usb import UsbDevice
from edgeq.toolchain import Firmware
from tests.hang import HANG_S
from tests.unit.flashers.conftest import ROOT, surroundings

L4R5 = load_board("nucleo_l4r5zi")


def sh(script: str) -> tuple[tuple[str, ...], ...]:
    return (("/bin/sh", "-c", script),)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Download\t[=====      ]  41%       1024 bytes\r", (0.41, "writing")),
        ("[==========] 100%\n", (1.0, "writing")),
        ("writing 7 %\n", (0.07, "writing")),
        ("** Programming Started **\n** Verify Started **\n", (None, "Verify Started")),
        ("** Programming Started **\n 30%", (0.3, "writing")),
        ("12.5%", (0.12, "writing")),
        ("999%", (1.0, "writing")),
        ("Info : 1000 kHz, 0x08000000", None),
        ("v1.2.34", None),
        ("", None),
    ],
)
def test_progress_is_read_from_a_tools_words(
    text: str, wanted: tuple[float | None, str] | None
) -> None:
    assert progress_in(text) == wanted


def test_progress_is_heard_while_the_tool_runs() -> None:
    """The tool waits until what it said has been heard: nothing is kept for its end."""
    heard: list[tuple[float | None, str]] = []
    read_end, write_end = os.pipe()
    os.set_inheritable(read_end, True)

    def watch(done: float | None, what: str) -> None:
        heard.append((done, what))
        os.write(write_end, b"\n")

    script = f"import os; print('10%', flush=True); os.read({read_end}, 1); print('90%')"
    with pytest.MonkeyPatch.context() as patched:
        popen = subprocess.Popen
        patched.setattr(
            flasher.subprocess, "Popen", lambda *a, **k: popen(*a, **k, pass_fds=(read_end,))
        )
        run_commands(((sys.executable, "-c", script),), timeout_s=HANG_S, watch=watch)
    os.close(read_end)
    os.close(write_end)
    assert heard == [(0.1, "writing"), (0.9, "writing")]


def test_both_streams_are_quoted_in_order() -> None:
    with pytest.raises(Flash, match=r"(?s)sh failed with exit code 7:\n  one\n  two\n  three"):
        run_commands(sh("echo one; echo two >&2; echo three; exit 7"))


def test_garbage_from_a_tool_is_quoted_and_does_no_harm() -> None:
    with pytest.raises(Flash, match=r"exit code 3:\n"):
        run_commands(sh("head -c 200000 /dev/urandom; exit 3"))
    run_commands(sh("head -c 200000 /dev/urandom"))


def test_a_tool_whose_child_keeps_the_pipe_does_not_hold_us() -> None:
    started = time.monotonic()
    run_commands(sh("sleep 60 & exit 0"), timeout_s=50.0)
    assert time.monotonic() - started < 50


def test_a_late_tool_that_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flasher, "END_S", 0.3)
    code = (
        "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print(os.getpid(), flush=True); time.sleep(60)"
    )
    with pytest.raises(Flash, match="did not end within") as late:
        run_commands(((sys.executable, "-c", code),), timeout_s=4.0)
    assert identity(int(str(late.value).split()[-1])) is None


def test_ctrl_c_ends_the_tool(tmp_path: Path) -> None:
    """A real SIGINT, to edgeq's process alone: the tool hears of it from edgeq."""
    note = tmp_path / "pid"
    write = f"open({str(note)!r}, 'w').write(str(os.getpid()))"
    tool = (sys.executable, "-c", f"import os, time; {write}; time.sleep(60)")
    code = f"from edgeq.flashers.flasher import run_commands; run_commands(({tool!r},))"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        deadline = time.monotonic() + HANG_S
        while not (note.exists() and note.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=HANG_S)
    assert b"KeyboardInterrupt" in said
    assert identity(int(note.read_text())) is None, "the tool still runs"


def dfu(firmware: Firmware, **options: object) -> dict[str, object]:
    return flashers.flash(
        firmware,
        L4R5,
        tool="dfu-util",
        look=surroundings,
        **options,  # type: ignore[arg-type]
    )


@pytest.fixture
def no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a serial port that will not come."""
    monkeypatch.setattr(flashers, "serial_port", lambda *_: None)


def test_dfu_util_writes_to_the_start_of_flash_and_leaves(
    firmware: Firmware, fake_tool: Callable[..., Path], no_port: None
) -> None:
    record = fake_tool("dfu-util")
    result = dfu(firmware)
    words = record.read_text().splitlines()
    assert words[:6] == ["-d", "0483:df11", "-a", "0", "-s", "0x08000000:leave"]
    assert words[6:] == ["-D", str(firmware.bin.resolve())]
    assert result["tool"] == "dfu_util"
    assert "BOOT0" in str(dfu(firmware, dry_run=True)["hint"])


def test_a_part_that_leaves_before_the_last_answer_was_written(
    firmware: Firmware, fake_tool: Callable[..., Path], no_port: None
) -> None:
    """What dfu-util 0.9 to 0.11 say of a part that jumps into its firmware at once."""
    said = "echo 'File downloaded successfully'; "
    fail = "echo 'dfu-util: Error during download get_status' >&2; exit 74"
    fake_tool("dfu-util", said + fail)
    assert dfu(firmware)["tool"] == "dfu_util"
    fake_tool("dfu-util", fail)
    with pytest.raises(Flash, match=r"(?s)exit code 74.*get_status.*--with: openocd"):
        dfu(firmware)


def test_without_a_boot_loader_on_usb_it_says_how_to_get_there(
    firmware: Firmware, fake_tool: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = fake_tool("dfu-util")
    others = (UsbDevice("0483:374b", "STM32 STLink"),)
    monkeypatch.setattr(dfu_util, "usb_devices", lambda: others)
    with pytest.raises(Link, match=r"no STM32 boot loader \(0483:df11\).*BOOT0 high"):
        dfu(firmware)
    assert not record.exists()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("OpenOCD", "openocd"),
        ("mass-storage", "mass_storage"),
        ("STM32_Programmer_CLI", "cubeprogrammer"),
        ("stm32cubeprogrammer", "cubeprogrammer"),
        ("dfu-util", "dfu_util"),
    ],
)
def test_tools_go_by_their_own_names_too(
    firmware: Firmware, no_tools: Path, given: str, wanted: str
) -> None:
    result = flashers.flash(firmware, L4R5, tool=given, dry_run=True, look=surroundings)
    assert result["tool"] == wanted


def test_dfu_is_for_boards_whose_usb_reaches_the_chip(firmware: Firmware) -> None:
    with pytest.raises(BadInput, match="'dfu_util' is no tool for nucleo_f446re"):
        flashers.flash(firmware, load_board("nucleo_f446re"), tool="dfu-util", dry_run=True)
