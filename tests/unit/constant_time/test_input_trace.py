"""The trace finds what decides by the input, wherever it hid, and lets the rest pass."""

from collections.abc import Callable
from pathlib import Path

import capstone  # type: ignore[import-untyped]
import pytest

from edgeq.board import load_board
from edgeq.constant_time import Trace, audit, trace_inference
from edgeq.constant_time.operands import masks
from edgeq.constant_time.trace import ACCESS, BRANCH, DECIDES, JUMP, LOOK_UP
from edgeq.errors import BadInput, Toolchain
from edgeq.firmware_project import FirmwareProject
from edgeq.sim import Machine
from edgeq.toolchain import build, find_compiler, with_board
from tests.compilers import COMPILERS

CASES = (Path(__file__).parent / "cases.c").read_bytes()
NAMESAKE = b"""
#include <stdint.h>
static __attribute__((noinline)) int32_t part(int32_t a, int32_t b) { return a %c b; }
int32_t of_%s(int32_t a, int32_t b);
int32_t of_%s(int32_t a, int32_t b) { return part(a, b) + 1; }
"""
CALLER = b"""
#include <stdint.h>
uint8_t sample_input[4];
int8_t sample_output[4];
int32_t of_first(int32_t a, int32_t b);
int32_t of_last(int32_t a, int32_t b);
__attribute__((noinline)) int served_infer(const uint8_t *x, int8_t *y);
int served_infer(const uint8_t *x, int8_t *y) {
    y[0] = (int8_t)of_first(x[0], x[1]);
    y[1] = (int8_t)of_last(x[0], x[1]);
    return 0;
}
int main(void) { return served_infer(sample_input, sample_output); }
"""
BOARDS = ("virtual_m4", "virtual_m0plus")
Build = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Build:
    built: dict[tuple[str, str], Path] = {}

    def one(kind: str, name: str) -> Path:
        if (kind, name) not in built:
            try:
                compiler = find_compiler(kind)  # type: ignore[arg-type]
            except Toolchain as error:
                pytest.skip(str(error))
            board, out = load_board(name), tmp_path_factory.mktemp(f"{kind}-{name}")
            project = with_board(FirmwareProject({"main.c": CASES}), board)
            built[kind, name] = build(project, board, compiler, out).elf
        return built[kind, name]

    return one


def traced(elf: Path, board: str, root: str, experts: int = 0) -> Trace:
    return trace_inference(Machine(load_board(board)).load(elf), elf, experts, root)


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("kind", COMPILERS)
def test_what_passes_and_what_is_found(kind: str, board: str, elf: Build) -> None:
    path = elf(kind, board)
    for root in ("steady", "overwritten"):
        trace = traced(path, board, root)
        assert not trace.sites(*DECIDES), root
        assert trace.instructions > 20
    assert traced(path, board, "steady").sites(LOOK_UP) == {"steady": 16}
    assert traced(path, board, "hidden").sites(*DECIDES) == {"hidden": pytest.approx(1, abs=9)}


@pytest.mark.parametrize("kind", COMPILERS)
def test_conditions_of_it_blocks(kind: str, elf: Build) -> None:
    path = elf(kind, "virtual_m4")
    assert traced(path, "virtual_m4", "predicated").sites(ACCESS) == {"predicated": 1}
    assert not traced(path, "virtual_m4", "selected").sites(*DECIDES)
    assert traced(path, "virtual_m4", "decided_by_selected").sites(BRANCH, ACCESS)


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("kind", COMPILERS)
def test_every_expert_is_traced(kind: str, board: str, elf: Build) -> None:
    """The memory holds zeros: the first is chosen; what the second does is found all the same."""
    trace = traced(elf(kind, board), board, "edgeq_infer", experts=2)
    assert trace.sites(JUMP) == {"edgeq_infer": 1}
    assert trace.sites(BRANCH, ACCESS)
    assert "edgeq_infer" not in trace.sites(BRANCH, ACCESS)


def test_floating_point_is_refused(elf: Build) -> None:
    with pytest.raises(BadInput, match=r"'vadd\.f32' at .* floating point is not traced"):
        traced(elf("gcc", "virtual_m4"), "virtual_m4", "floats")  # clang's target has no FPU


def test_the_audit_reads_what_is_there(elf: Build) -> None:
    path = elf("zig", "virtual_m4")
    found = audit(path, "cortex-m4", "divides")
    assert found.divides == ("divides: sdiv",)
    assert not found.fixed_instructions
    steady = audit(path, "cortex-m4", "steady")
    assert steady.fixed_instructions
    assert steady.conditional_branches >= 1
    assert "predicated: strbgt" in audit(path, "cortex-m4", "predicated").predicated
    assert any(
        "div" in found for found in audit(elf("zig", "virtual_m4"), "cortex-m4", "main").divides
    )
    with pytest.raises(BadInput, match="no function edgeq_nothing"):
        audit(path, "cortex-m4", "edgeq_nothing")


@pytest.mark.parametrize("kind", COMPILERS)
@pytest.mark.parametrize("divider", ["first", "last"])
def test_static_functions_of_one_name_are_all_read(kind: str, divider: str, tmp_path: Path) -> None:
    """As the helpers in a kernels' header are: one for each unit that includes it."""
    units = {"main.c": CALLER}
    for name in ("first", "last"):
        sign = b"/" if name == divider else b"^"
        units[f"{name}.c"] = NAMESAKE % (sign, name.encode(), name.encode())
    board = load_board("virtual_m4")
    project = with_board(FirmwareProject(units), board)
    path = build(project, board, find_compiler(kind), tmp_path).elf  # type: ignore[arg-type]
    assert audit(path, board.core).divides == ("part: sdiv",)
    assert traced(path, board.name, "served_infer").instructions > 10


@pytest.mark.parametrize(
    ("code", "reads", "writes"),
    [
        ("85fb0315", (5, 3), (1, 5)),  # smull r1, r5, r5, r3
        ("a5fb0312", (5, 3), (1, 2)),  # umull r1, r2, r5, r3
        ("c5fb0312", (1, 2, 5, 3), (1, 2)),  # smlal r1, r2, r5, r3
    ],
)
def test_a_long_product_reads_no_register_that_it_only_writes(
    code: str, reads: tuple[int, ...], writes: tuple[int, ...]
) -> None:
    decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    decoder.detail = True
    (one,) = decoder.disasm(bytes.fromhex(code), 0)
    found = masks(one)
    assert found.reads == sum({1 << r for r in reads})
    assert found.writes == sum({1 << r for r in writes})
