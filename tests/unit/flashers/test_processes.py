"""Emulated boards in the background: the real simulator, the real QEMU, and their ends."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs
import psutil
import pytest
import serial
from click.testing import CliRunner

from edgeq import flashers
from edgeq.board import load_board
from edgeq.cli import cli
from edgeq.errors import BadInput, Flash, Link, Toolchain
from edgeq.flashers import processes
from edgeq.flashers.flasher import last_words
from edgeq.flashers.processes import Running, identity, start
from edgeq.toolchain import Firmware
from tests.hang import HANG_S
from tests.unit.flashers.conftest import firmware_at, surroundings

READY = b"ready\r\n"
START_S = HANG_S


def first_line(text: str) -> str | None:
    return text.partition("\n")[0].strip() if "\n" in text else None


def sleeper(port: str = "/dev/fake", script: str = "pass") -> Running:
    """A process that names a port and sleeps."""
    code = f"import signal, time; {script}; print({port!r}, flush=True); time.sleep(120)"
    return start((sys.executable, "-c", code), "sleeper", Path("x.elf"), first_line)


def echoes(port: str) -> bool:
    """The firmware on `port` echoes; what is sent before its UART is on is lost."""
    with serial.Serial(port, 115200, timeout=0.3) as line:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            line.write(b"!")
            if b"!" in line.read(16):
                return True
    return False


@pytest.mark.parametrize("name", ["virtual_m0plus", "virtual_m4", "qemu_mps2_an386"])
def test_a_board_is_started_answers_is_listed_and_stopped(
    name: str, echo_elf: Callable[[str], Firmware]
) -> None:
    if name.startswith("qemu") and shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is not installed")
    firmware = echo_elf(name)
    result = flashers.flash(firmware, load_board(name), look=surroundings)
    assert echoes(result["port"])
    assert echoes(result["port"]), "the port does not open twice"
    (listed,) = flashers.running()
    assert (listed.board, listed.port, listed.pid) == (name, result["port"], result["pid"])
    assert listed.elf == str(firmware.elf.resolve())
    shown = json.loads(CliRunner().invoke(cli, ["boards", "--json"]).stdout)
    assert [each["pid"] for each in shown["running"]] == [result["pid"]]
    assert {"name", "evidence", "tools"} <= shown["boards"][0].keys()
    stopped = CliRunner().invoke(cli, ["stop", result["port"], "--json"])
    assert [each["pid"] for each in json.loads(stopped.stdout)["stopped"]] == [result["pid"]]
    assert flashers.running() == ()
    assert identity(result["pid"]) is None


def test_the_words_of_a_board_that_fails_to_start_reach_the_error(tmp_path: Path) -> None:
    broken = firmware_at(tmp_path / "broken")
    with pytest.raises(Flash, match=r"(?s)virtual_m4 did not start \(ended with.*ELF.*rebuild"):
        flashers.flash(broken, load_board("virtual_m4"), look=surroundings)
    assert flashers.running() == ()


def test_the_words_of_qemu_reach_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is not installed")
    monkeypatch.setattr(processes, "_SETTLE_S", START_S)  # a loaded machine; it ends by itself
    missing = firmware_at(tmp_path / "gone")
    missing.elf.unlink()
    with pytest.raises(Flash, match=r"(?s)did not start.*firmware\.elf"):
        flashers.flash(missing, load_board("qemu_mps2_an386"), look=surroundings)


def test_a_board_that_names_no_port_in_time_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    class Noted(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self.pid)

    monkeypatch.setattr(processes.subprocess, "Popen", Noted)
    code = "import time; time.sleep(60)"
    with pytest.raises(Flash, match="named no port in time"):
        start((sys.executable, "-c", code), "silent", Path("x"), first_line, timeout_s=2.0)
    assert [identity(pid) for pid in started] == [None]
    assert flashers.running() == ()


def test_a_board_that_closes_its_output_is_ended() -> None:
    code = "import os, time; os.close(1); time.sleep(60)"
    with pytest.raises(Flash, match="named no port in time"):
        start((sys.executable, "-c", code), "closed", Path("x"), first_line, timeout_s=3.0)


def test_a_program_that_is_not_there_is_said() -> None:
    with pytest.raises(Toolchain, match="cannot be run"):
        start(("/nowhere/qemu",), "none", Path("x"), first_line)


def test_it_lives_on_when_its_starter_ends(runtime: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from edgeq.flashers.processes import start; "
        "script = 'import time; print(\"/dev/x\", flush=True); time.sleep(120)'; "
        "start((sys.executable, '-c', script), 'b', Path('x'), "
        "lambda t: t.strip() if chr(10) in t else None)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=START_S)
    (listed,) = flashers.running()
    assert os.getsid(listed.pid) == listed.pid, "Ctrl-C in the terminal would reach it"
    flashers.stop(str(listed.pid))
    assert identity(listed.pid) is None


def test_several_need_a_name_and_all_means_all() -> None:
    one, two = sleeper("/dev/one"), sleeper("/dev/two")
    assert {record.pid for record in flashers.running()} == {one.pid, two.pid}
    for which in (None, "sleeper"):
        with pytest.raises(BadInput, match=r"which one\?.*--all.*/dev/one"):
            flashers.stop(which)
    with pytest.raises(Link, match="no emulated board '/dev/none' runs; running: sleeper"):
        flashers.stop("/dev/none")
    assert flashers.stop("/dev/one") == (one,)
    assert flashers.stop() == (two,)
    assert flashers.stop(everything=True) == ()
    with pytest.raises(Link, match="no emulated board runs"):
        flashers.stop()
    assert CliRunner().invoke(cli, ["stop", "--all"]).stdout == "none ran\n"


def test_one_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_TERM_S", 0.3)
    stubborn = sleeper(script="signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    flashers.stop(str(stubborn.pid))
    assert identity(stubborn.pid) is None


def test_a_dead_board_vanishes_from_the_list(runtime: Path) -> None:
    board = sleeper()
    record = runtime / "edgeq" / f"{board.pid}.json"
    assert record.is_file()
    os.kill(board.pid, signal.SIGKILL)
    deadline = time.monotonic() + HANG_S
    while identity(board.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert flashers.running() == ()
    assert not record.exists()


def test_a_later_process_of_the_same_number_is_left_alone(runtime: Path) -> None:
    board = sleeper()
    record = runtime / "edgeq" / f"{board.pid}.json"
    kept = record.read_text()
    facts: dict[str, Any] = json.loads(kept)
    before = f"{float(facts['identity']) - 0.01:.2f}"  # a tick of the kernel's clock
    record.write_text(json.dumps({**facts, "identity": before}))
    assert flashers.running() == ()
    assert not record.exists()
    with pytest.raises(Link):
        flashers.stop(str(board.pid))
    assert identity(board.pid) == board.identity, "an unrelated process was ended"
    record.write_text(kept)
    assert flashers.stop() == (board,)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "null", '{"board": 3}'])
def test_a_damaged_record_is_dropped(text: str, runtime: Path) -> None:
    folder = processes.records_folder()
    (folder / "7.json").write_text(text)
    assert flashers.running() == ()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("pid", [0, 1, -1, True, "2"])
def test_no_record_can_name_a_process_that_is_none(pid: Any, runtime: Path) -> None:
    folder = processes.records_folder()
    facts = {"board": "b", "port": "p", "elf": "e", "started": "s", "identity": None}
    (folder / "7.json").write_text(json.dumps({**facts, "pid": pid}))
    assert flashers.stop(everything=True) == ()


def test_the_folder_is_this_users_alone(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = processes.records_folder()
    assert folder == runtime / "edgeq"
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    with pytest.raises(Flash, match="open to other users"):
        flashers.running()
    folder.rmdir()
    folder.symlink_to(runtime)
    with pytest.raises(Flash, match="not a folder of this user"):
        flashers.running()
    folder.unlink()
    ours, owner = processes.records_folder(), os.getuid()
    with monkeypatch.context() as other:
        other.setattr(platformdirs, "user_runtime_path", lambda *_, **__: ours)
        other.setattr(os, "getuid", lambda: owner + 1)
        with pytest.raises(Flash, match="not a folder of this user"):
            flashers.running()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, which records without a runtime folder lie in."""
    if not psutil.LINUX or Path(f"/run/user/{os.getuid()}").exists():
        pytest.skip("this user's records lie in a folder that no variable moves")
    folder = tmp_path / "tmp"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)  # TMPDIR is read again
    return folder


def test_a_runtime_folder_that_others_could_exchange_is_not_taken(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    for given in (str(shared), str(shared / "run"), ""):
        monkeypatch.setenv("XDG_RUNTIME_DIR", given)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # nothing that a user would have to read
            assert processes.records_folder() == temporary / f"runtime-{os.getuid()}" / "edgeq"
    assert list(shared.iterdir()) == []


def test_where_another_has_the_temporary_runtime_folder_there_is_one_more(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    (temporary / f"runtime-{os.getuid()}").symlink_to(tmp_path)
    folder = processes.records_folder()
    assert folder == temporary / f"edgeq-{os.getuid()}" == processes.records_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(Flash, match="not a folder of this user"):
        processes.records_folder()


def test_a_process_is_told_by_its_start_as_the_kernel_counts_it() -> None:
    if not psutil.LINUX:
        pytest.skip("no /proc to compare with")
    for pid in (os.getpid(), os.getppid()):
        ticks = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19]
        assert identity(pid) == f"{int(ticks) / os.sysconf('SC_CLK_TCK'):.2f}"


def test_a_zombie_has_ended() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert ended.stdout is not None
    ended.stdout.read()  # its end: it is ending
    deadline = time.monotonic() + HANG_S
    while psutil.Process(ended.pid).status() != "zombie" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert identity(ended.pid) is None
    ended.communicate()
    assert identity(ended.pid) is None


def test_a_clock_that_is_set_ends_no_board(monkeypatch: pytest.MonkeyPatch) -> None:
    if not psutil.LINUX:
        pytest.skip("only Linux derives starts from the time of day")
    board = sleeper()
    booted, started = psutil.boot_time(), psutil.Process(board.pid).create_time()
    with monkeypatch.context() as a_year_later:
        a_year_later.setattr(psutil._psplatform, "boot_time", lambda: booted + 3e7)
        assert psutil.Process(board.pid).create_time() == pytest.approx(started + 3e7)
        assert flashers.running() == (board,)
    assert flashers.stop() == (board,)


def test_only_the_last_words_are_shown() -> None:
    assert last_words("", "\n") == ""
    assert last_words("\n".join(map(str, range(100)))).splitlines()[1] == "  80"
