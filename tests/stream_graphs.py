"""Random windows of time, lowered: what a stream is made of."""

import numpy as np

from edgeq.ir import Graph, Quant
from edgeq.ops.copies import Slice
from tests.factory import GraphBuilder

FRAMES = 14


def window_graph(seed: int, axis: int, padded: bool = False, behind: bool = False) -> Graph:
    """A window of FRAMES frames along `axis`: up to five layers that slide, and what ends them.

    padded: layers may pad in front of time; behind: also behind it.
    """
    rng = np.random.default_rng(seed)
    shape = (FRAMES, 3, 4) if axis == 0 else (1, FRAMES, 4)
    samples = rng.integers(-128, 128, (24, *shape), dtype=np.int8)
    build = GraphBuilder(rng, "window", samples, Quant((0.02,), 4))
    for _ in range(int(rng.integers(1, 6))):
        if _cells(build, axis) > 4:
            _slide(build, rng, axis, padded, behind)
    _end(build, rng, axis)
    return build.graph()


def _cells(build: GraphBuilder, axis: int) -> int:
    return build.tensors[build.last].shape[axis]


def _slide(
    build: GraphBuilder, rng: np.random.Generator, axis: int, padded: bool, behind: bool
) -> None:
    """A layer that reads 1 to 4 cells along time, one or two on."""
    time, step = int(rng.integers(1, 5)), int(rng.integers(1, 3))
    front = int(rng.integers(0, time)) if padded else 0
    back = int(rng.integers(0, time)) if behind else 0
    kernel, stride = (time, 1), (step, 1)
    padding = (front, 0, back, 0)
    if axis == 1:
        kernel, stride, padding = (1, time), (1, step), (0, front, 0, back)
    match int(rng.integers(0, 8)):
        case 0:
            build.conv(int(rng.integers(2, 9)), kernel, stride=stride, padding=padding)
        case 1:
            build.depthwise(kernel, stride=stride, padding=padding)
        case 2:
            build.max_pool(kernel, stride, padding)
        case 3:
            build.average_pool(kernel, stride)
        case 4:
            build.mean_pool(kernel, stride, padding)
        case 5:
            build.activation("HardSwish")
        case 6:
            _beside(build, kernel, axis)
        case _:
            build.conv(5, (1, 1), "s4")


def _beside(build: GraphBuilder, kernel: tuple[int, int], axis: int) -> None:
    """A residual around a layer without padding: the newest cells of what it read."""
    whole = build.last
    made = build.depthwise(kernel)
    cells, shape = build.tensors[made].shape[axis], build.tensors[whole].shape
    start, size = [0, 0, 0], list(shape)
    start[axis], size[axis] = shape[axis] - cells, cells
    attrs = Slice(tuple(start), tuple(size), (1, 1, 1))
    cut = build._append("Slice", (whole,), attrs, {}, build.quant(whole))
    build.add(made, cut)


def _end(build: GraphBuilder, rng: np.random.Generator, axis: int) -> None:
    """The mean of the window, its largest, a dense layer over time, or every cell an answer."""
    shape = build.tensors[build.last].shape
    match int(rng.integers(0, 4)):
        case 0:
            build.average_pool(shape[:2], (1, 1))
        case 1:
            build.max_pool(shape[:2], (1, 1))
        case 2:
            pass
        case _:
            build.conv(3, (1, 1))
            return
    build.flatten()
    build.fully_connected(3)
