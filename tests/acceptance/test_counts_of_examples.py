"""The examples' firmware on the virtual board: what QEMU says and counts, nothing left out, twice.

One ELF for both, of the board that QEMU models; its rows are linked in, so no host is waited for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edgeq.arrays import channels_last
from edgeq.board import load_board
from edgeq.emit.firmware import firmware_project
from edgeq.errors import Toolchain
from edgeq.firmware_project import FirmwareProject
from edgeq.frontend.torch_loader import graph_of
from edgeq.memory import plan_memory
from edgeq.nn import load
from edgeq.passes import quantize
from edgeq.reference import quantize_rows, run
from edgeq.sim import BufferPort, Machine
from edgeq.sim.profile import Profile
from edgeq.sim.results import RunResult
from edgeq.toolchain import build, find_compiler, with_board
from edgeq.weights import pack_weights
from tests.acceptance.boards import Array
from tests.acceptance.conftest import KINDS_OF_DIGITS, Digits
from tests.emulated import qemu_counts
from tests.hang import HANG_S

ESC10 = Path(__file__).parents[2] / "examples" / "esc10" / "checkpoint.pt"
BOARD = load_board("qemu_mps2_an386")
MAIN = (Path(__file__).parent / "counted.c").read_bytes()
DIGITS_ROWS, ESC10_ROWS = 4, 1


@dataclass(frozen=True)
class Counted:
    """An ELF that infers some rows, and the bytes that the reference says it must send."""

    elf: Path
    expected: bytes


@dataclass(frozen=True)
class Ran:
    """One run on the virtual board."""

    said: bytes
    result: RunResult
    profile: Profile
    half_cycles: int


def digits_counted(digits: Digits, folder: Path) -> Counted:
    routes = digits.expected.route
    picked = [int(np.flatnonzero(routes == each)[0]) for each in np.unique(routes)][:DIGITS_ROWS]
    expected = _bytes(digits.expected.output[picked], routes[picked])
    return Counted(_built(digits.project, digits.rows[picked], folder), expected)


def esc10_counted(folder: Path) -> Counted:
    """The stored checkpoint, lowered as an export for the board does."""
    model = load(ESC10)
    calibration = channels_last(model.calibration)
    graph = quantize(graph_of(model), calibration, "mse", BOARD.features).graph
    packed = pack_weights(graph)
    project = firmware_project(
        graph, plan_memory(graph), packed, model_name="esc10", digest="ab" * 32
    )
    rows = quantize_rows(graph, calibration[:ESC10_ROWS])
    answers = run(graph, rows)
    elf = _built(project, rows, folder)
    return Counted(elf, _bytes(answers.output, answers.route))


@pytest.fixture(
    scope="module", params=[*KINDS_OF_DIGITS, pytest.param("esc10", marks=pytest.mark.full)]
)
def counted(
    request: pytest.FixtureRequest,
    digits_of: Callable[[str], Digits],
    tmp_path_factory: pytest.TempPathFactory,
) -> Counted:
    folder = tmp_path_factory.mktemp(f"{request.param}_counted")
    if request.param == "esc10":
        return esc10_counted(folder)
    return digits_counted(digits_of(request.param), folder)


def _built(project: FirmwareProject, rows: Array, folder: Path) -> Path:
    try:
        compiler = find_compiler()
    except Toolchain as error:
        pytest.skip(str(error))
    lines = (f"{{{','.join(map(str, row.ravel().tolist()))}}}," for row in rows)
    files = {"main.c": MAIN, "rows.inc": "\n".join(lines).encode()}
    return build(with_board(project, BOARD).with_files(files), BOARD, compiler, folder).elf


def _bytes(output: Array, route: Array) -> bytes:
    return np.concatenate([output, route.reshape(-1, 1)], axis=1).astype(np.int8).tobytes()


def ran(elf: Path) -> Ran:
    port = BufferPort()
    machine = Machine(BOARD, port).load(elf)
    result = machine.run(deadline_s=HANG_S)
    assert result.reason == "exit"
    return Ran(port.take(), result, machine.profile(), machine.clock.half)


def test_the_virtual_board_answers_as_the_reference_and_sums_up(counted: Counted) -> None:
    one = ran(counted.elf)
    assert one.said == counted.expected
    assert sum(one.profile.functions.values()) == one.half_cycles / 2
    assert sum(one.profile.class_cycles.values()) == one.half_cycles / 2
    assert one.profile.cycles == one.result.cycles == one.half_cycles // 2
    assert one.profile.instructions == one.result.instructions
    assert not [name for name in one.profile.functions if name.startswith("0x")]


def test_two_runs_are_identical(counted: Counted) -> None:
    assert ran(counted.elf) == ran(counted.elf)


@pytest.mark.skipif(not qemu_counts.HERE, reason="no qemu-system-arm here")
@pytest.mark.timeout(600)
def test_bytes_and_instructions_are_qemus(counted: Counted, tmp_path: Path) -> None:
    qemu = qemu_counts.in_qemu(counted.elf, tmp_path, deadline_s=HANG_S)
    one = ran(counted.elf)
    assert one.said == qemu.said == counted.expected
    assert one.result.instructions == qemu.instructions
