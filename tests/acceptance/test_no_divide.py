"""The inference path divides nowhere, so its time does not depend on the data."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeq.board import load_board
from edgeq.constant_time import CallGraph, trace_inference
from edgeq.constant_time.trace import BRANCH, DECIDES, JUMP
from edgeq.errors import Toolchain
from edgeq.sim import Machine
from edgeq.toolchain import Firmware, find_compiler
from tests.acceptance.boards import call_infer
from tests.acceptance.conftest import Digits
from tests.compilers import COMPILERS
from tests.hang import HANG_S

TIMED_ROWS = 50
PARTS = {  # inlined or called
    "mixture": ("router", "conv_2d", "s8_t2", "s8_s4", "s8_s8"),
    "cascade": ("gap", "conv_2d", "fully_connected", "s8_s8"),
}
RATIO = """
int edgeq_infer(int a, int b);
__attribute__((noinline)) static int ratio(int a, int b) { return a / b; }
int edgeq_infer(int a, int b) { return b ? ratio(a, b) + 1 : 0; }
"""


@pytest.mark.parametrize("kind", COMPILERS)
def test_no_function_of_the_inference_path_divides(
    kind: str, digits: Digits, firmware: Callable[..., Firmware]
) -> None:
    functions = CallGraph(firmware(kind).elf).reachable("served_infer")
    names = [f.name for f in functions]
    text = " ".join(names)
    for part in PARTS[digits.kind]:
        assert part in text, f"the walk met only {text}"
    assert not [(f.name, f.divides) for f in functions if f.divides]
    assert not [n for n in names if "div" in n or "sqrt" in n]


@pytest.mark.parametrize("kind", COMPILERS)
def test_a_divide_one_call_deep_is_found(kind: str, tmp_path: Path) -> None:
    """The negative case."""
    try:
        compiler = find_compiler(kind)  # type: ignore[arg-type]
    except Toolchain as error:
        pytest.skip(str(error))
    (tmp_path / "ratio.c").write_text(RATIO)
    flags = [*compiler.compile_flags(load_board("virtual_m4"), "-O2"), "-nostdlib"]
    link = ["-Wl,-e,edgeq_infer", "ratio.c", "-o", "ratio.elf"]
    made = subprocess.run(
        [*compiler.command, *flags, *link],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert made.returncode == 0, made.stderr
    functions = CallGraph(tmp_path / "ratio.elf").reachable("edgeq_infer")
    (found,) = (f for f in functions if f.divides)
    assert found.name.startswith("ratio")
    assert found.divides == ("sdiv",)


@pytest.mark.parametrize("kind", COMPILERS)
def test_cycles_of_an_expert_are_the_same_for_every_row(
    kind: str, digits: Digits, firmware: Callable[..., Firmware]
) -> None:
    answers = call_infer(firmware(kind).elf, digits.rows[:TIMED_ROWS], 10)
    cycles = {int(e): set(answers.cycles[answers.route == e]) for e in np.unique(answers.route)}
    assert len(cycles) > 1
    assert all(len(counts) == 1 for counts in cycles.values()), cycles


@pytest.mark.parametrize("kind", COMPILERS)
def test_the_input_decides_nothing_but_the_expert(
    kind: str, digits: Digits, firmware: Callable[..., Firmware]
) -> None:
    """Traced through every instruction: a proof for every input of every route.

    A mixture jumps once to its expert; a cascade branches once, at its threshold.
    """
    elf = firmware(kind).elf
    machine = Machine(load_board("virtual_m4")).load(elf)
    machine.call("served_init")
    last = int(digits.expected.route.argmax())  # a row for which a cascade runs every stage
    machine.write(machine.symbol("sample_input"), digits.rows[last].tobytes())
    kind_of_choice = JUMP if digits.kind == "mixture" else BRANCH
    experts = 3 if digits.kind == "mixture" else 0
    trace = trace_inference(machine, elf, experts)
    (chooser,) = trace.sites(kind_of_choice)
    assert chooser.endswith("_infer")
    assert trace.sites(*DECIDES) == trace.sites(kind_of_choice) == {chooser: 1}
    assert trace.instructions > 10_000
