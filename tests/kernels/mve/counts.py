"""Instructions a multiply-accumulate on a Cortex-M55: kernels by vectors beside plain C.

python -m tests.kernels.mve.counts   counts in QEMU and writes the table of docs/portability.md
"""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from edgeq.toolchain import OPTIMIZE, find_compiler
from tests.kernels.differential import convolutions, fully_connected
from tests.kernels.differential.case import Case
from tests.kernels.differential.convolutions import Geometry
from tests.kernels.differential.vectors import by_vectors
from tests.kernels.mve import machine
from tests.mutation.record import commit

ROOT = Path(__file__).parents[3]
RECORD = ROOT / "docs" / "measured" / "mve.json"
PAGE = ROOT / "docs" / "portability.md"
START = "<!-- table mve: start, written by a script -->"
END = "<!-- table mve: end -->"
INPUTS, OUTPUTS = 256, 64
MAP = Geometry((6, 6), 32, (3, 3), (1, 1), (1, 1, 1, 1), 32)
DEPTHWISE = Geometry((6, 6), 64, (3, 3), (1, 1), (0, 0, 0, 0))  # without a border: all its taps


@dataclass(frozen=True)
class Layer:
    """One row of the table: what it is, its multiply-accumulates, the plain kernel's case."""

    said: str
    macs: int
    case: Case

    @property
    def kernel(self) -> str:
        return self.case.calls[0].function


def layers() -> Iterator[Layer]:
    for token in ("s8", "s4", "t2"):
        case = fully_connected.plain(token, INPUTS, OUTPUTS, 1, "random", "none")
        yield Layer(f"FullyConnected {INPUTS} to {OUTPUTS}, {token}", INPUTS * OUTPUTS, case)
    for token in ("s8", "s4", "t2"):
        case = convolutions.plain("Conv2D", token, MAP, 1, "random", "none")
        macs = 36 * 9 * MAP.channels * MAP.outputs
        yield Layer(f"Conv2D 3x3, 6x6x32 to 32, {token}", macs, case)
    case = convolutions.plain("DepthwiseConv2D", "s8", DEPTHWISE, 1, "random", "none")
    yield Layer("DepthwiseConv2D 3x3, 6x6x64, s8", 16 * 9 * DEPTHWISE.channels, case)


def counted(layer: Layer, folder: Path) -> tuple[int, int]:
    """Instructions of the plain kernel and of the one by vectors, both compiled for the core."""
    vector = by_vectors(layer.case)
    names = (layer.kernel, vector.calls[0].function)
    linked = machine.link(find_compiler("gcc"), names, folder)
    plain = replace(layer.case, label="plain")
    return machine.instructions(linked, plain, folder), machine.instructions(linked, vector, folder)


def table(record: dict) -> str:
    lines = [
        "| layer | plain C | by vectors | fewer |",
        "|---|---:|---:|---:|",
        *(
            f"| {row['layer']} | {row['plain'] / row['macs']:.2f} "
            f"| {row['mve'] / row['macs']:.2f} | {row['plain'] / row['mve']:.1f} times |"
            for row in record["rows"]
        ),
        "",
        f"Instructions a multiply-accumulate, counted in QEMU; {record['compiler']}, "
        f"{record['flags']}, commit {record['commit']}.",
    ]
    return "\n".join((START, *lines, END))


def main() -> None:
    rows = []
    for layer in layers():
        with tempfile.TemporaryDirectory(prefix="edgeq-mve-") as folder:
            plain, mve = counted(layer, Path(folder))
        rows.append({"layer": layer.said, "macs": layer.macs, "plain": plain, "mve": mve})
        print(rows[-1], flush=True)
    record = {
        "board": machine.BOARD,
        "compiler": find_compiler("gcc").label,
        "flags": f"-mcpu=cortex-m55 {OPTIMIZE}",
        "commit": commit(),
        "seed": 1,
        "rows": rows,
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    before, after = page[: page.index(START)], page[page.index(END) + len(END) :]
    PAGE.write_text(before + table(record) + after, encoding="utf-8")


if __name__ == "__main__":
    main()
