"""Every kernel by vectors on QEMU's Cortex-M55, bit for bit; what it executes beside plain C."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from edgeq.errors import Toolchain
from edgeq.kernels import KERNELS
from edgeq.kernels.table import MVE
from edgeq.toolchain import find_compiler
from tests.compilers import COMPILERS
from tests.kernels.differential.case import Case, Difference, Out
from tests.kernels.differential.table import DIFFERENTIAL
from tests.kernels.mve import counts, machine

NAMES = tuple(kernel.name for kernel in KERNELS if kernel.isa == MVE)
pytestmark = pytest.mark.skipif(shutil.which("qemu-system-arm") is None, reason="no QEMU here")


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], machine.Linked]:
    @cache
    def one(kind: str) -> machine.Linked:
        try:
            compiler = find_compiler(kind)
        except Toolchain as error:
            pytest.skip(str(error))
        return machine.link(compiler, NAMES, tmp_path_factory.mktemp(kind))

    return one


@pytest.mark.parametrize("kind", COMPILERS)
@pytest.mark.parametrize("name", NAMES)
def test_on_a_cortex_m55(
    name: str, kind: str, linked: Callable[[str], machine.Linked], tmp_path: Path
) -> None:
    machine.run(linked(kind), DIFFERENTIAL[name](), tmp_path)


def test_a_wrong_answer_and_a_stray_write_are_told(
    linked: Callable[[str], machine.Linked], tmp_path: Path
) -> None:
    """What the runner is there for: it must not pass everything."""
    name = "edgeq_fully_connected_s8_s8_mve"
    case = next(DIFFERENTIAL[name]())
    (call,) = case.calls
    out = call.arguments[-1]
    assert isinstance(out, Out)
    wrong = replace(out, wanted=out.wanted ^ 1)
    with pytest.raises(Difference, match="1 of 1 values differ"):
        machine.run(linked(COMPILERS[0]), [_answering(case, wrong)], tmp_path)
    narrow = replace(out, wanted=out.wanted[:0])
    with pytest.raises(Difference, match="beside an operand of 0 bytes"):
        machine.run(linked(COMPILERS[0]), [_answering(case, narrow)], tmp_path)


def _answering(case: Case, out: Out) -> Case:
    (call,) = case.calls
    return replace(case, calls=(replace(call, arguments=(*call.arguments[:-1], out)),))


def test_the_docs_show_the_record() -> None:
    page, record = counts.PAGE.read_text(), json.loads(counts.RECORD.read_text())
    shown = page[page.index(counts.START) : page.index(counts.END) + len(counts.END)]
    assert shown == counts.table(record), "run python -m tests.kernels.mve.counts"
    assert len(record["rows"]) == len(NAMES)
    assert all(row["plain"] >= 4 * row["mve"] for row in record["rows"])


@pytest.mark.full
@pytest.mark.parametrize("layer", [pytest.param(x, id=x.kernel) for x in counts.layers()])
def test_vectors_take_a_quarter_of_the_instructions_at_most(
    layer: counts.Layer, tmp_path: Path
) -> None:
    plain, by_vectors = counts.counted(layer, tmp_path)
    assert plain >= 4 * by_vectors
