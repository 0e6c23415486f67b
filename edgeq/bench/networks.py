"""The reference networks of MLPerf Tiny, rebuilt with edgeq's layers: whole inferences counted.

Shapes: github.com/mlcommons/tiny, benchmark/training. Weights are random, by a recorded seed: what
a network costs does not depend on them. Where the references pad unevenly (SAME at stride 2), these
pad evenly to the same sizes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeq.arrays import Array
from edgeq.bench.answers import answers
from edgeq.board import Board, load_board
from edgeq.compiled import Compiled, compile_graph
from edgeq.errors import BadInput, Mismatch
from edgeq.files import scratch_folder
from edgeq.reference import quantize_rows
from edgeq.reference import run as reference
from edgeq.sim.runnable import why_not_run
from edgeq.staging import stage_weights
from edgeq.toolchain import OPTIMIZE, Compiler, Firmware, build, find_compiler, with_board

if TYPE_CHECKING:
    from torch import nn as torch_nn

WIDTHS = ("int8", "int4", "ternary")
SEED, CALIBRATION_ROWS, ROWS = 1, 16, 2
DIGEST = "0" * 64
Watch = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Network:
    """`build(kind)` gives the body with weights of that kind; `shape` has no batch axis."""

    title: str
    shape: tuple[int, ...]
    build: Callable[[str], "torch_nn.Module"]


def _keyword_spotting(kind: str) -> "torch_nn.Module":
    from edgeq import nn

    layers: list[Any] = [nn.Conv2d(1, 64, (10, 4), kind, 2, padding=(5, 1)), nn.ReLU()]
    for _ in range(4):
        layers += _separable(64, 64, kind, 1)
    return nn.Sequential(*layers, nn.GlobalAvgPool(), nn.Linear(64, 12, kind))


def _separable(channels: int, out: int, kind: str, stride: int) -> list[Any]:
    """3x3 depthwise and 1x1; a ternary network keeps its depthwise weights at 8 bits."""
    from edgeq import nn

    depthwise = "int8" if kind == "ternary" else kind
    return [
        nn.Conv2d(channels, channels, 3, depthwise, stride, padding=1, groups=channels),
        nn.ReLU(),
        nn.Conv2d(channels, out, 1, kind),
        nn.ReLU(),
    ]


def _image_classification(kind: str) -> "torch_nn.Module":
    from edgeq import nn

    layers: list[Any] = [nn.Conv2d(3, 16, 3, kind, padding=1), nn.ReLU()]
    for channels, out, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2)):
        body = nn.Sequential(
            nn.Conv2d(channels, out, 3, kind, stride, padding=1),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, kind, padding=1),
        )
        shortcut = None if stride == 1 else nn.Conv2d(channels, out, 1, kind, stride)
        layers += [nn.Residual(body, shortcut), nn.ReLU()]
    return nn.Sequential(*layers, nn.GlobalAvgPool(), nn.Linear(64, 10, kind))


def _visual_wake_words(kind: str) -> "torch_nn.Module":
    from edgeq import nn

    layers: list[Any] = [nn.Conv2d(3, 8, 3, kind, 2, padding=1), nn.ReLU()]
    channels = 8
    widths = (16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256)
    strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
    for out, stride in zip(widths, strides, strict=True):
        layers += _separable(channels, out, kind, stride)
        channels = out
    return nn.Sequential(*layers, nn.GlobalAvgPool(), nn.Linear(256, 2, kind))


def _anomaly_detection(kind: str) -> "torch_nn.Module":
    from edgeq import nn

    sizes = (640, 128, 128, 128, 128, 8, 128, 128, 128, 128)
    layers: list[Any] = []
    for one, following in pairwise(sizes):
        layers += [nn.Linear(one, following, kind), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, 640, kind))


def _streaming_wake_word(kind: str) -> "torch_nn.Module":
    from edgeq import nn

    depthwise = "int8" if kind == "ternary" else kind
    layers: list[Any] = []
    channels = 40
    for out, kernel in ((128, 3), (64, 5), (64, 10), (32, 15)):
        layers.append(nn.Conv1d(channels, channels, kernel, depthwise, groups=channels))
        layers += [nn.Conv1d(channels, out, 1, kind), nn.ReLU()]
        channels = out
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 3, kind))


NETWORKS: Mapping[str, Network] = {
    "kws": Network("keyword spotting, DS-CNN", (1, 49, 10), _keyword_spotting),
    "ic": Network("image classification, ResNet8", (3, 32, 32), _image_classification),
    "vww": Network("visual wake words, MobileNetV1-0.25", (3, 96, 96), _visual_wake_words),
    "ad": Network("anomaly detection, autoencoder", (640,), _anomaly_detection),
    "sww": Network("streaming wake word, 1-D depthwise", (40, 30), _streaming_wake_word),
}


def bench_networks(
    board_name: str = "virtual_m4",
    network: str | None = None,
    weights: str | None = None,
    compiler: str = "auto",
    *,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Cycles, arena and bytes of each network at each width: the JSON of `edgeq bench networks`.

    Cycles of a board with a flash model are those with warm caches. `watch` hears of runs done, in
    all and the next one's name. Raises BadInput for a board without a clock model, a network or a
    width that does not exist, Toolchain without a compiler, Mismatch where an answer differs.
    """
    board, found = load_board(board_name), find_compiler(compiler)
    if (why := why_not_run(board)) is not None:
        raise BadInput(why)
    todo = [(n, w) for n in _chosen(network, NETWORKS) for w in _chosen(weights, WIDTHS)]
    rows: list[dict[str, Any]] = []
    flags: tuple[str, ...] = ()
    for i, (name, width) in enumerate(todo):
        if watch:
            watch(i, len(todo), f"{name} {width}")
        with scratch_folder() as folder:
            entry, flags = _measured(name, width, board, found, folder)
        rows.append(entry)
    if watch:
        watch(len(todo), len(todo), "")
    return {
        "board": board.name,
        "source": "modelled",
        "clock_hz": board.clock_hz,
        "compiler": found.label,
        "flags": list(flags),
        "seed": SEED,
        "networks": rows,
    }


def _chosen(asked: str | None, there: Iterable[str]) -> list[str]:
    if asked is not None and asked not in there:
        raise BadInput(f"{asked!r} is none of {', '.join(there)}")
    return list(there) if asked is None else [asked]


def compiled_network(
    name: str, kind: str, features: frozenset[str], board: Board | None = None
) -> tuple[Compiled, Any]:
    """The network with random weights as an export would lower it, and int8 rows to run.

    `board`: whose flash decides which weights are read from RAM.
    """
    import torch

    from edgeq import nn
    from edgeq.arrays import channels_last
    from edgeq.frontend.torch_loader import graph_of
    from edgeq.passes import quantize

    torch.manual_seed(SEED)
    network = NETWORKS[name]
    model = nn.Model(network.build(kind), network.shape, name=f"{name}_{kind}")
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(CALIBRATION_ROWS, *network.shape)).astype(np.float32)
    model.calibrate(x)
    laid = channels_last(x)
    graph = quantize(graph_of(model), laid, "mse", features).graph
    graph = stage_weights(graph, board) if board else graph
    return compile_graph(graph, model.name, DIGEST), quantize_rows(graph, laid[:ROWS])


def _measured(
    name: str, width: str, board: Board, compiler: Compiler, folder: Path
) -> tuple[dict[str, Any], tuple[str, ...]]:
    compiled, rows = compiled_network(name, width, board.features, board)
    built = build(with_board(compiled.project, board), board, compiler, folder, OPTIMIZE)
    graph = compiled.graph
    size = graph.tensors[graph.outputs[0]].size
    said = answers(board, built.elf, rows, size, len(compiled.layers))
    wanted = reference(graph, rows).output.reshape(len(rows), -1)
    wrong = int((said.outputs != wanted).sum())
    if wrong:
        raise Mismatch(f"{name} {width}: {wrong} outputs differ from the reference")
    return _entry(name, width, compiled, built, said.cycles[-1]), built.flags


def _entry(
    name: str, width: str, compiled: Compiled, built: Firmware, cycles: Array
) -> dict[str, Any]:
    layers = [
        {
            "name": layer.name,
            "kernel": layer.kernel,
            "cycles": int(count),
            "cycles_per_mac": round(count / layer.macs, 3) if layer.macs else None,
        }
        for layer, count in zip(compiled.layers, cycles, strict=True)
    ]
    constants = built.sections.get(".edgeq_weights", 0)
    return {
        "network": name,
        "weights": width,
        "compiler": built.compiler,
        "cycles": int(cycles.sum()),
        "macs": sum(layer.macs for layer in compiled.layers),
        "arena_bytes": compiled.plan.arena_bytes,
        "code_bytes": built.flash_bytes - constants,
        "weight_bytes": compiled.packed.total_bytes,
        "mismatches": 0,
        "layers": layers,
    }
