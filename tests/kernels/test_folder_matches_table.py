"""The folder of C files and the kernel table say the same."""

import re

from edgeq.kernels import KERNELS, Kernel
from edgeq.kernels.table import PROTOTYPES
from tests.kernels.host_kernels import FOLDER

INCLUDE = re.compile(r'#include "([^"]+)"')
SHARED = {"edgeq_softmax_q15.c"}  # called by several kernels, a kernel of no op


def included(file: str) -> set[str]:
    """Our headers that a file needs, through headers too."""
    direct = set(INCLUDE.findall((FOLDER / file).read_text()))
    return direct.union(*(included(h) for h in direct))


def prototypes(kernel: Kernel) -> str:
    """The header that declares it: one for kernels any core runs, one for those of an extension."""
    return (FOLDER / PROTOTYPES[kernel.isa]).read_text()


def test_each_file_has_one_row_and_each_row_its_file() -> None:
    own = [k.sources[0] for k in KERNELS]
    assert len(own) == len(set(own))
    assert {p.name for p in FOLDER.glob("*.c")} == set(own) | SHARED


def test_a_file_is_named_as_its_function() -> None:
    for kernel in KERNELS:
        assert kernel.sources[0] == f"{kernel.name}.c"
        assert re.search(rf"\b{kernel.name}\(", (FOLDER / kernel.sources[0]).read_text())
        assert re.search(rf"\b{kernel.name}\(", prototypes(kernel))


def test_rows_name_all_headers_and_no_others_exist() -> None:
    for kernel in KERNELS:
        needed = set().union(*(included(source) for source in kernel.sources))
        assert needed <= set(kernel.headers), kernel.name
    assert {p.name for p in FOLDER.glob("*.h")} == {h for k in KERNELS for h in k.headers}


def test_rows_name_every_source_they_call() -> None:
    """A call of a function that another file defines needs that file."""
    homes = {p.stem: p.name for p in FOLDER.glob("*.c")}
    homes["edgeq_softmax_q15_of"] = homes.pop("edgeq_softmax_q15")
    for kernel in KERNELS:
        called = set(re.findall(r"\b(edgeq_\w+)\(", (FOLDER / kernel.sources[0]).read_text()))
        assert {homes[name] for name in called & set(homes)} <= set(kernel.sources), kernel.name


def test_scratch_argument_is_as_the_table_says() -> None:
    for kernel in KERNELS:
        prototype = re.search(rf"\b{kernel.name}\(([^)]*)\)", prototypes(kernel))
        assert prototype is not None
        assert ("scratch" in prototype[1]) == kernel.takes_scratch, kernel.name


def test_shapes_are_arguments() -> None:
    """No file defines a shape: the only macros are guards and constants of the arithmetic."""
    allowed = {"HEADROOM", "SCORE_STEP", "ESCALATED", "EDGEQ_ROUTER_LAYER"}
    allowed |= {"EDGEQ_AT", "EDGEQ_HOLDS", "EDGEQ_KERNEL", "EDGEQ_KERNEL_VERSION", "EDGEQ_HIDDEN"}
    allowed |= {"EDGEQ_STEPS"}  # holds a compiler back; no shape
    allowed |= {"EDGEQ_MVE"}  # whether there are vectors
    assembly = ("_dsp", "_t5", "_v6m")  # there they are schedules
    for path in (p for p in FOLDER.iterdir() if not any(part in p.name for part in assembly)):
        names = re.findall(r"#define (\w+)", path.read_text())
        assert {n for n in names if not n.endswith("_H")} <= allowed, path.name


def test_every_function_of_a_kernel_file_is_marked() -> None:
    """What is not could not come twice into one program, nor carry its version's name."""
    for path in FOLDER.glob("*.c"):
        text = path.read_text().replace(" void\n", " void ")  # a long head, of two lines
        heads = re.findall(r"(?m)^(?!static|\s)([\w ]*?)\bedgeq_\w+\([^;{]*\{", text)
        assert heads, path.name
        assert all(head.startswith("EDGEQ_KERNEL ") for head in heads), path.name
