"""What native groups and dilation save, beside what stood for them before.

    python examples/convolutions/parts.py      # writes parts.json and the table of docs/memory.md

Before, a dilated kernel had zeros between its taps, and each group was a slice, a convolution and
its part of a concatenation. Both forms of a layer, weights random by a recorded seed, are quantised
after training and counted on a virtual board: modelled cycles, no silicon.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import edgeq
from edgeq.bench.answers import answers
from edgeq.board import load_board
from edgeq.compiled import compile_graph
from edgeq.files import scratch_folder, write_file
from edgeq.frontend.torch_loader import graph_of
from edgeq.passes import quantize
from edgeq.reference import quantize_rows, run
from edgeq.reporting.markdown import commit_of, write_table
from edgeq.toolchain import OPTIMIZE, build, find_compiler, with_board

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "parts.json", HERE.parents[1] / "docs" / "memory.md"
SEED, ROWS, BOARD, DIGEST = 1, 16, "virtual_m4", "0" * 64
KINDS = ("int8", "int4", "ternary")
DSP = frozenset({"dsp"})


class Causal(nn.Module):
    """A layer of a temporal convolutional network: padding in front alone."""

    def __init__(self, conv: nn.Conv1d, before: int) -> None:
        super().__init__()
        self.conv, self.before = conv, before

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(nn.functional.pad(x, (self.before, 0))).relu()


class Slices(nn.Module):
    """A grouped convolution as one of each slice of the channels, joined."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        groups, weight = conv.groups, conv.weight.data
        outputs, depth = len(weight) // groups, weight.shape[1]
        self.parts = nn.ModuleList(
            nn.Conv2d(depth, outputs, conv.kernel_size, padding=conv.padding) for _ in range(groups)
        )
        for i, part in enumerate(self.parts):
            part.weight.data = weight[i * outputs : (i + 1) * outputs].clone()
            part.bias.data = conv.bias.data[i * outputs : (i + 1) * outputs].clone()

    def forward(self, x: Tensor) -> Tensor:
        slices = x.chunk(len(self.parts), 1)
        return torch.cat([f(s) for f, s in zip(self.parts, slices, strict=True)], 1).relu()


def dilated(channels: int, dilation: int) -> tuple[nn.Module, nn.Module]:
    """(native, with zeros between its taps)."""
    conv = nn.Conv1d(channels, channels, 3, dilation=dilation)
    wide = nn.Conv1d(channels, channels, 2 * dilation + 1)
    wide.weight.data.zero_()
    wide.weight.data[:, :, ::dilation] = conv.weight.data
    wide.bias.data = conv.bias.data.clone()
    return Causal(conv, 2 * dilation), Causal(wide, 2 * dilation)


def grouped(channels: int, groups: int) -> tuple[nn.Module, nn.Module]:
    """(native, a layer a slice)."""
    conv = nn.Conv2d(channels, channels, 3, padding=1, groups=groups)
    return nn.Sequential(conv, nn.ReLU()), Slices(conv)


LAYERS = {
    "TCN, 32 channels, 3 taps, dilation 8, 128 frames": ((32, 128), lambda: dilated(32, 8)),
    "ResNeXt, 64 channels in 8 groups, 3x3, 16x16": ((64, 16, 16), lambda: grouped(64, 8)),
}


def counted(module: nn.Module, shape: tuple[int, ...], kind: str) -> dict[str, Any]:
    """Cycles, bytes of constants and of the arena, and whether bytes are the reference's."""
    x = np.random.default_rng(SEED).normal(size=(ROWS, *shape)).astype(np.float32)
    given = torch.from_numpy(x)
    model = edgeq.from_torch(module.eval(), given[:1], calibration=x, name="layer")
    model = edgeq.quantize(model, x, weights=kind, progress=False)
    found = graph_of(model)
    rows = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x.transpose(0, 2, 1)[:, None]
    graph = quantize(found, rows, "mse", DSP).graph
    compiled, board = compile_graph(graph, "layer", DIGEST), load_board(BOARD)
    codes, size = quantize_rows(graph, rows[:2]), graph.tensors[graph.outputs[0]].size
    with scratch_folder() as folder:
        project = with_board(compiled.project, board)
        built = build(project, board, find_compiler("gcc"), folder, OPTIMIZE)
        said = answers(board, built.elf, codes, size, len(compiled.layers))
    wanted = run(graph, codes).output.reshape(len(codes), -1)
    return {
        "cycles": int(said.cycles.sum(1).max()),
        "constants_bytes": compiled.packed.total_bytes,
        "arena_bytes": compiled.plan.arena_bytes,
        "mismatches": int((said.outputs != wanted).sum()),
    }


def measured() -> dict[str, Any]:
    rows = []
    for name, (shape, make) in LAYERS.items():
        for kind in KINDS:
            torch.manual_seed(SEED)
            native, before = make()
            entry = {"layer": name, "weights": kind}
            entry |= {"native": counted(native, shape, kind)}
            entry |= {"before": counted(before, shape, kind)}
            print(json.dumps(entry), flush=True)
            rows.append(entry)
    said = {"commit": commit_of(HERE), "seed": SEED, "board": BOARD, "source": "modelled"}
    return said | {"compiler": find_compiler("gcc").label, "optimize": OPTIMIZE, "rows": rows}


def table(said: dict[str, Any]) -> str:
    names = [
        ("cycles", "cycles"),
        ("constants_bytes", "constants, bytes"),
        ("arena_bytes", "arena, bytes"),
    ]
    lines = [
        f"Modelled on `{said['board']}`, no silicon; {said['compiler']}, {said['optimize']}; "
        "before / native.",
        "",
        "| layer | weights | " + " | ".join(title for _, title in names) + " |",
        "|---|---|" + "---:|" * len(names),
    ]
    for row in said["rows"]:
        cells = [f"{row['before'][key]:,} / **{row['native'][key]:,}**" for key, _ in names]
        lines.append(f"| {row['layer']} | {row['weights']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    said = measured()
    write_file(RESULTS, (json.dumps(said, indent=1) + "\n").encode())
    write_table(PAGE, table(said), "parts")


if __name__ == "__main__":
    main()
