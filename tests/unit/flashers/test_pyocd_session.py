"""pyOCD's own API as far as it goes without a probe, and the session around it with a fake one."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeq import flashers
from edgeq.board import all_boards, load_board
from edgeq.errors import Flash
from edgeq.flashers import pyocd, pyocd_session
from edgeq.toolchain import Firmware
from tests.hang import HANG_S
from tests.unit.flashers.conftest import surroundings

pytest.importorskip("pyocd", reason="pyocd is not installed: pip install 'edgeq[pyocd]'")


def test_a_part_that_needs_a_pack_is_told_from_one_that_is_built_in() -> None:
    assert pyocd_session.knows("rp2040")
    assert not pyocd_session.knows("stm32f446retx_that_no_pack_has")


@pytest.mark.parametrize(
    "target", sorted({str(b.probe.pyocd_target) for b in all_boards() if b.probe.pyocd_target})
)
def test_every_board_has_its_part_built_in_or_names_a_pack(target: str) -> None:
    from pyocd.target.builtin import BUILTIN_TARGETS

    boards = [board for board in all_boards() if board.probe.pyocd_target == target]
    assert all(b.probe.pyocd_pack or target in BUILTIN_TARGETS for b in boards), boards


def test_the_real_api_finds_no_probe_and_says_what_to_do(firmware: Firmware) -> None:
    command = [sys.executable, "-m", "edgeq.flashers.pyocd_session", "--target", "rp2040"]
    run = subprocess.run(
        [*command, "--uid", "none_has_this", str(firmware.elf)],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert run.returncode == 1
    assert "no debug probe of serial number none_has_this is connected" in run.stderr
    assert "`edgeq doctor`" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_missing_pack_is_named_with_its_command(
    firmware: Firmware, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Through the real package; its folder of packs is an empty one."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    board = load_board("nucleo_f446re")
    with pytest.raises(Flash) as failed:
        flashers.flash(firmware, board, tool="pyocd", look=surroundings)
    assert "stm32f446retx is not recognized" in str(failed.value)
    assert "pyocd pack install stm32f446retx" in str(failed.value)
    assert failed.value.exit_code == 5


class FakePyocd:
    """What pyOCD does with a probe: `fails` is raised when the file is written."""

    def __init__(self) -> None:
        self.probes = [SimpleNamespace(description="STLink-V3", unique_id="066F")]
        self.fails: Exception | None = None
        self.done: list[str] = []

    def session(self, **options: Any) -> Any:
        self.done.append(f"connect {options['unique_id']} {options['options']}")
        return self

    def __enter__(self) -> Any:
        return SimpleNamespace(target=SimpleNamespace(reset=lambda: self.done.append("reset")))

    def __exit__(self, *_: object) -> None:
        self.done.append("close")

    def programmer(self, _session: Any, progress: Any) -> Any:
        def program(path: str, file_format: str) -> None:
            progress(0.5)
            if self.fails is not None:
                raise self.fails
            progress(1.0)
            self.done.append(f"write {Path(path).name} as {file_format}")

        return SimpleNamespace(program=program)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePyocd]:
    from pyocd.core import helpers
    from pyocd.flash import file_programmer

    made = FakePyocd()
    helper = helpers.ConnectHelper
    monkeypatch.setattr(helper, "get_all_connected_probes", lambda **_: made.probes)
    monkeypatch.setattr(helper, "session_with_chosen_probe", made.session)
    monkeypatch.setattr(file_programmer, "FileProgrammer", made.programmer)
    return made


def test_it_connects_writes_resets_and_closes(
    fake: FakePyocd, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert pyocd_session.program(tmp_path / "a.elf", "rp2040", "066F") is None
    assert fake.done == [
        "connect 066F {'target_override': 'rp2040'}",
        "write a.elf as elf",
        "reset",
        "close",
    ]
    assert capfd.readouterr().out == "writing 50 %\nwriting 100 %\n"


def test_a_probe_that_fails_is_said_and_closed(fake: FakePyocd, tmp_path: Path) -> None:
    from pyocd.core.exceptions import TransferFaultError

    fake.fails = TransferFaultError("no ack", fault_address=0x20000000)
    said = pyocd_session.program(tmp_path / "a.elf", "rp2040", None)
    assert said is not None
    assert said.startswith("TransferFaultError: ")
    assert fake.done[-1] == "close"
    assert "reset" not in fake.done


def test_several_probes_are_listed_not_guessed_between(fake: FakePyocd, tmp_path: Path) -> None:
    fake.probes.append(SimpleNamespace(description="DAPLink", unique_id="0700"))
    said = pyocd_session.program(tmp_path / "a.elf", "rp2040", None)
    assert said == "several probes are connected: STLink-V3 (066F), DAPLink (0700); leave one"
    assert fake.done == []


def test_pyocd_that_is_only_on_path_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyocd, "importable", lambda: False)
    assert pyocd.assumed(load_board("nucleo_f446re")).program == ("pyocd", "load", "--no-wait")
