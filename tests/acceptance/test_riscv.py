"""RISC-V: the virtual board and QEMU answer as the reference does, by both compilers."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edgeq.arrays import channels_last
from edgeq.board import load_board, target_board
from edgeq.cores import CORES
from edgeq.errors import BadInput, Toolchain
from edgeq.ir import Graph
from edgeq.passes.select_kernels import select_kernels
from edgeq.prove.firmware import check_on_twin
from edgeq.reference import quantize_rows, run
from edgeq.sim import Machine
from edgeq.sim.config import MachineConfig
from edgeq.sim.faults import GuestFault
from edgeq.sim.riscv import RiscvMachine
from edgeq.sim.riscv.clock import decoded
from edgeq.toolchain import Firmware, build, find_compiler, with_board
from edgeq.toolchain import compiler as compilers
from tests.acceptance.boards import Array, qemu_board, stream, virtual_board
from tests.acceptance.conftest import Digits, _project
from tests.compilers import COMPILERS
from tests.factory import input_rows, smallest_mixture

ESC10 = Path(__file__).parents[2] / "examples" / "esc10" / "checkpoint.pt"
VIRTUAL, QEMU = "virtual_rv32imc", "qemu_virt_rv32"
RISCV_GCC = compilers.GCC["riscv"]


def firmware(graph: Graph, board_name: str, kind: str, folder: Path) -> Firmware:
    """The firmware of plain kernels; skips where RISC-V cannot be compiled."""
    board = load_board(board_name)
    project, _ = _project(select_kernels(graph, board.features))
    try:
        compiler = find_compiler(kind).of(board)
    except Toolchain as error:
        pytest.skip(str(error))
    return build(with_board(project, board), board, compiler, folder)


def assert_answers(port: str, graph: Graph, rows: Array) -> Array:
    """Outputs and routes of all rows; their times."""
    said, wanted = stream(port, rows), run(graph, rows)
    np.testing.assert_array_equal(said.output, wanted.output.reshape(len(rows), -1))
    np.testing.assert_array_equal(said.route, wanted.route)
    return said.cycles


def tiny() -> tuple[Graph, Array]:
    graph = smallest_mixture()
    return graph, input_rows(np.random.default_rng(1), graph, 6)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Firmware]:
    """built(board, kind): the tiny mixture's firmware, each once."""

    @cache
    def one(board_name: str = VIRTUAL, kind: str = "auto") -> Firmware:
        return firmware(tiny()[0], board_name, kind, tmp_path_factory.mktemp(board_name))

    return one


Built = Callable[..., Firmware]


@pytest.mark.parametrize("kind", COMPILERS)
def test_the_virtual_board_answers_as_the_reference(kind: str, built: Built) -> None:
    graph, rows = tiny()
    with virtual_board(built(VIRTUAL, kind).elf, VIRTUAL) as port:
        times = assert_answers(port, graph, rows)
        again = assert_answers(port, graph, rows)
    assert (times > 1000).all()
    assert (times[1:] == again[1:]).all(), "instructions are the same every time"


def test_qemu_answers_the_same(built: Built) -> None:
    graph, rows = tiny()
    with qemu_riscv(built(QEMU).elf) as port:
        assert_answers(port, graph, rows)


def qemu_riscv(elf: Path) -> AbstractContextManager[str]:
    """The port of QEMU's virt machine that runs `elf`."""
    return qemu_board("virt", elf, "qemu-system-riscv32", "-bios", "none")


@pytest.mark.full
@pytest.mark.parametrize("kind", ["gcc", "zig"])
def test_digits_answer_on_both(kind: str, digits: Digits, tmp_path: Path) -> None:
    rows = digits.rows[:40]
    plain = select_kernels(digits.graph, frozenset())
    with virtual_board(firmware(plain, VIRTUAL, kind, tmp_path / "v").elf, VIRTUAL) as port:
        assert_answers(port, plain, rows)
    with qemu_riscv(firmware(plain, QEMU, kind, tmp_path / "q").elf) as port:
        assert_answers(port, plain, rows)


@pytest.mark.full
@pytest.mark.parametrize("kind", ["gcc", "zig"])
def test_esc10_answers_on_both(kind: str, tmp_path: Path) -> None:
    import edgeq
    from edgeq.frontend.torch_loader import graph_of
    from edgeq.passes import quantize

    model = edgeq.load(ESC10)
    calibration = channels_last(model.calibration)
    graph = quantize(graph_of(model), calibration, "mse", frozenset()).graph
    rows = quantize_rows(graph, calibration[:3])
    with virtual_board(firmware(graph, VIRTUAL, kind, tmp_path / "v").elf, VIRTUAL) as port:
        assert_answers(port, graph, rows)
    with qemu_riscv(firmware(graph, QEMU, kind, tmp_path / "q").elf) as port:
        assert_answers(port, graph, rows)


def test_the_proof_watches_every_layer(built: Built) -> None:
    graph, rows = tiny()
    board = load_board(VIRTUAL)
    check = check_on_twin(select_kernels(graph, board.features), rows, board, built().elf)
    assert check.passed
    assert "so is every output of" in check.said


@pytest.mark.parametrize("core", ["rv32imc", "rv32imac"])
def test_a_bare_core_is_proven_with_room_for_any_model(core: str, tmp_path: Path) -> None:
    graph, rows = tiny()
    board, plain = target_board(core), select_kernels(graph, frozenset())
    compiler = find_compiler().of(board)
    elf = build(with_board(_project(plain)[0], board), board, compiler, tmp_path).elf
    assert check_on_twin(plain, rows, board, elf).passed


def test_a_wild_read_is_told_with_its_function(built: Built) -> None:
    machine = RiscvMachine(load_board(VIRTUAL)).load(built().elf)
    with pytest.raises(GuestFault, match=r"read of unmapped address 0x(?s:.*)at 0x8\w+ in "):
        machine.call("served_infer", (0x10, 0x20))
    with pytest.raises(GuestFault, match="it spent its instructions"):
        machine.run(max_cycles=100)
    with pytest.raises(BadInput, match="9 arguments; registers take 8"):
        machine.call("served_infer", tuple(range(9)))


def test_each_board_refuses_the_others_firmware(built: Built) -> None:
    riscv, arm = built().elf, built("virtual_m4").elf
    with pytest.raises(BadInput, match=r"EM_RISCV ET_EXEC; this virtual board runs .*EM_ARM"):
        Machine(load_board("virtual_m4")).load(riscv)
    with pytest.raises(BadInput, match="rv32imc is no Arm core"):
        Machine(load_board(VIRTUAL))
    with pytest.raises(BadInput, match=r"EM_ARM ET_EXEC; this virtual board runs .*EM_RISCV"):
        RiscvMachine(MachineConfig.of(load_board(VIRTUAL))).load(arm)


def test_instructions_are_told_by_their_lengths() -> None:
    block = decoded(bytes.fromhex("0111 13050500 8280".replace(" ", "")), 0x80000000)
    assert block.places == (0x80000000, 0x80000002, 0x80000006)
    assert block.taken == "t_bx"
    assert decoded(bytes.fromhex("67800000"), 0).taken == "t_bx"
    assert decoded(bytes.fromhex("0100"), 0).taken == ""


def test_without_a_compiler_for_it_both_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    arm = compilers.Compiler("gcc", ("arm-none-eabi-gcc",), "12.2.1")
    monkeypatch.setattr(compilers.shutil, "which", lambda _name: None)
    monkeypatch.setattr(compilers.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(Toolchain, match=r"riscv64-unknown-elf-gcc .*edgeq\[zig\]"):
        arm.of(load_board(VIRTUAL))
    assert arm.of(load_board("virtual_m4")) is arm


@pytest.mark.parametrize("core", [name for name, core in CORES.items() if core.isa == "riscv"])
def test_both_compilers_are_told_the_core(core: str) -> None:
    board = load_board(VIRTUAL).model_copy(update={"core": core})
    assert f"-march={core}_zicsr" in compilers.target_flags("gcc", board)
    assert any(
        flag.startswith("-mcpu=generic_rv32+m") for flag in compilers.target_flags("zig", board)
    )
