"""A firmware that faults on a twin: its handler is entered, and whoever asks is told."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgeq.board import load_board
from edgeq.diagnosing.access import ports, this_system
from edgeq.harness.fault import Faulted, fault_in
from edgeq.harness.link import BoardLink
from edgeq.harness.port import Port
from edgeq.sim import BufferPort, GuestFault, Machine, MachineConfig
from tests.emulated.test_ports import QUERY_MAIN, _built
from tests.hang import HANG_S

BOARD, LOCKS_UP = "nucleo_f446re", "qemu_mps2_an386"
LOCKUP_MAIN = (Path(__file__).parent / "lockup_main.c").read_bytes()
MOST_CYCLES = 20_000_000


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _built(BOARD, "auto", QUERY_MAIN, tmp_path_factory.mktemp("fault"))


def twin(elf: Path, faults: str) -> Machine:
    config = replace(MachineConfig.of(load_board(BOARD)), faults=faults)
    machine = Machine(config, BufferPort()).load(elf)
    assert machine.run(deadline_s=HANG_S, max_cycles=MOST_CYCLES).reason == "idle"
    machine.port.take()
    return machine


def told(machine: Machine, said: bytes) -> bytes:
    machine.port.incoming += said
    assert machine.run(deadline_s=HANG_S, max_cycles=MOST_CYCLES).reason == "idle"
    return machine.port.take()


def test_an_injected_fault_is_told_at_once_and_to_each_that_asks(elf: Path) -> None:
    machine = twin(elf, "handler")
    assert told(machine, b"q")  # all is well before
    first = told(machine, b"f")  # a store to 0xf0000000, where nothing is
    words = fault_in(first)
    assert words is not None
    assert words.startswith("data access to no memory (0xf0000000) at pc 0x08")
    at = machine.image.function_at(int(words.split(" at pc 0x")[1][:8], 16))
    assert at == "main"
    assert told(machine, b"this is no command") == b""
    assert told(machine, b"~~") == 2 * first
    assert "(exception entry)" in machine.profile().functions


def test_by_default_a_fault_ends_the_run_with_a_report(elf: Path) -> None:
    machine = twin(elf, "report")
    machine.port.incoming += b"f"
    with pytest.raises(GuestFault, match="unmapped address 0xf0000000"):
        machine.run(deadline_s=HANG_S, max_cycles=MOST_CYCLES)


@pytest.fixture
def stopped(elf: Path) -> Iterator[str]:
    """The port of a board whose firmware has stopped by a fault."""
    command = [sys.executable, "-m", "edgeq.sim", str(elf), "--board", BOARD, "--faults", "handler"]
    board = subprocess.Popen([*command, "--pty"], stdout=subprocess.PIPE, text=True)
    with board:
        assert board.stdout is not None
        name = board.stdout.readline().strip()
        port = Port.open(name, 115_200)
        said = b""
        while b"ready" not in said:
            said += port.read(HANG_S)
        port.write(b"f", HANG_S)
        while not fault_in(said):
            said += port.read(HANG_S)
        port.close()
        yield name
        board.terminate()


def test_host_and_doctor_say_it_in_words(stopped: str) -> None:
    """Both come after the firmware told it, so they ask."""
    said = r"stopped by a fault: data access to no memory \(0xf0000000\) at pc 0x08.*; reset the"
    with pytest.raises(Faulted, match=said):
        BoardLink.open(stopped, HANG_S)
    finding = next(f for f in ports(this_system(), stopped) if f.id == f"port.{stopped}")
    assert finding.status == "error"
    assert "stopped by a fault: data access to no memory (0xf0000000)" in finding.found


@pytest.fixture(scope="module")
def locking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _built(LOCKS_UP, "auto", LOCKUP_MAIN, tmp_path_factory.mktemp("lockup"))


def test_a_fault_within_hardfault_is_a_lockup_with_a_report(locking: Path) -> None:
    config = replace(MachineConfig.of(load_board(LOCKS_UP)), faults="handler")
    machine = Machine(config, BufferPort()).load(locking)
    with pytest.raises(GuestFault, match="lockup: a fault within HardFault") as raised:
        machine.run(deadline_s=HANG_S, max_cycles=MOST_CYCLES)
    assert machine.port.take() == b"h"
    assert raised.value.report.function in ("faulting_handler", "nowhere")


@pytest.mark.skipif(shutil.which("qemu-system-arm") is None, reason="qemu-system-arm is absent")
def test_qemu_locks_up_there_as_well(locking: Path) -> None:
    machine = load_board(LOCKS_UP).probe.qemu_machine
    command = ["qemu-system-arm", "-M", str(machine), "-display", "none"]
    done = subprocess.run(
        [*command, "-monitor", "none", "-serial", "stdio", "-kernel", str(locking)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert (done.stdout, done.returncode != 0) == ("h", True)
    assert "Lockup: can't escalate 3 to HardFault" in done.stderr
