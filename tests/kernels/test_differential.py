"""Every row of the kernel table, bit for bit against the numpy reference, with fixed seeds.

tests/mutation plants faults into the kernels and runs these very cases.
"""

import ctypes
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeq.kernels import KERNELS
from tests.kernels import host_kernels
from tests.kernels.differential import fixed_point, fully_connected
from tests.kernels.differential.case import Call, Case, Const, Difference, Out, Pointer, Struct
from tests.kernels.differential.core import OnCore
from tests.kernels.differential.host import Host
from tests.kernels.differential.table import ASSEMBLY, DIFFERENTIAL
from tests.kernels.dsp.core import Core
from tests.kernels.dsp.layers import layer
from tests.mutation.outcome import Outcome, in_a_child


def test_every_row_has_its_cases() -> None:
    assert set(DIFFERENTIAL) == {kernel.name for kernel in KERNELS}
    for name, cases in DIFFERENTIAL.items():
        called = {call.function for case in cases() for call in case.calls}
        assert name in called, f"no case of {name} calls it"


@pytest.mark.parametrize("name", DIFFERENTIAL)
def test_on_the_host(kernels: ctypes.CDLL, name: str) -> None:
    for case in DIFFERENTIAL[name]():
        Host(kernels).run(case)


def test_the_fixed_point_functions(kernels: ctypes.CDLL, tmp_path: Path) -> None:
    """Those that all kernels share, with the skip of `kernels`."""
    source = tmp_path / "exports.c"
    source.write_text(fixed_point.EXPORTS)
    host_kernels.build(tmp_path, [source])
    runner = Host(ctypes.CDLL(str(tmp_path / "kernels.so")))
    for case in fixed_point.fixed_point_cases():
        runner.run(case)


@pytest.mark.parametrize("name", ASSEMBLY)
def test_on_the_core(linked: Path, name: str) -> None:
    runner = OnCore(Core(linked))
    for case in DIFFERENTIAL[name]():
        runner.run(case)


def relu(size: int, x: int, y: int) -> Case:
    """One that is wrong on purpose: `size` values of three."""
    out = Out(np.full(3, y, np.int8), initial=np.full(3, x, np.int8))
    given = Pointer((Struct((size, 0, 6)),))
    return Case("relu", (Call("edgeq_relu_s8", (given, out, out)),))


@pytest.mark.parametrize(
    ("case", "why"),
    [
        (relu(3, 9, 5), "3 of 3 values differ"),
        (relu(2, 9, 6), "1 of 3 values differ, the first at"),
    ],
)
def test_a_wrong_answer_would_be_seen(
    kernels: ctypes.CDLL, linked: Path, case: Case, why: str
) -> None:
    """The negative case of both runners."""
    for runner in (Host(kernels), OnCore(Core(linked))):
        with pytest.raises(Difference, match=why):
            runner.run(case)


def test_a_write_behind_an_operand_would_be_seen(kernels: ctypes.CDLL, linked: Path) -> None:
    """On the host it ends the process."""
    case = relu(4, 9, 6)
    with pytest.raises(Difference, match="it wrote beside an operand of 3 bytes"):
        OnCore(Core(linked)).run(case)
    assert in_a_child(lambda: Host(kernels).run(case), 10) == (Outcome.KILLED, "SIGSEGV")


@pytest.mark.parametrize("more", [0, 8])
def test_scratch_that_no_kernel_needs_would_be_seen(
    kernels: ctypes.CDLL, linked: Path, more: int
) -> None:
    """A layer in whose row the scratch is `more` bytes too large."""
    case = fully_connected.of_stream(layer("s8", 9, 2, 1, "random", "none"))
    (call,) = case.calls
    *given, scratch = call.arguments
    grown = replace(call, arguments=(*given, replace(scratch, bytes=scratch.bytes + more)))
    for runner in (Host(kernels), OnCore(Core(linked))):
        if more:
            with pytest.raises(Difference, match="of 40 bytes of scratch 8 are spare"):
                runner.run(Case("more", (grown,)))
        else:
            runner.run(Case("as it is", (grown,)))


def test_a_wrong_return_value_would_be_seen(kernels: ctypes.CDLL) -> None:
    given = (Const(np.full(256, 2**15, np.uint16)), Const(np.zeros(1, np.int8)), 1)
    with pytest.raises(Difference, match="32768 returned instead of 1"):
        Host(kernels).run(Case("confidence", (Call("edgeq_confidence_s8", given, 1),)))
