"""What is measured: layers of the networks that microcontrollers run, one small graph each.

The fully connected shapes are those of the paper's experts (arXiv 2511.11743), of an autoencoder
and of a keyword head; the convolutions are those of the MLPerf Tiny networks (ResNet, DS-CNN), of
a dilated layer of a TCN (d8: dilation 8) and of one in eight groups (g8).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from edgeq.errors import BadInput
from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.kernels import KERNELS, kernel_named
from edgeq.kernels.layer_needs import one_window, paired_cells
from edgeq.ops import OPS
from edgeq.ops.block_fully_connected import BLOCKS, BlockFullyConnected
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.op import WEIGHT_RANGE, Array
from edgeq.ops.weighted import integer_layer
from edgeq.passes.select_kernels import refusal

INPUT_QUANT = Quant((0.02,), -3)
Attrs = FullyConnected | Conv2D | DepthwiseConv2D | BlockFullyConnected


@dataclass(frozen=True)
class Case:
    """One layer: `weight_shape` as the graph has it, `input_shape` without batch."""

    op: str
    shape: str
    input_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    attrs: Attrs


def _fully_connected(inputs: int, outputs: int) -> Case:
    shape = f"{inputs}x{outputs}"
    return Case("FullyConnected", shape, (inputs,), (outputs, inputs), FullyConnected())


def _blocks(inputs: int, outputs: int, block: int, cells: tuple[int, ...] = ()) -> Case:
    """A scale for every `block` inputs; over `cells` a 1x1 convolution."""
    shape = f"{inputs}x{outputs}" if not cells else f"conv1x1k{inputs}"
    attrs = BlockFullyConnected(block=block)
    name = f"{shape}/{block}"
    return Case("BlockFullyConnected", name, (*cells, inputs), (outputs, inputs), attrs)


_ALONE = (one_window, paired_cells)  # what a kernel can do; other ones say what is fast
_FLAT = ((1536, 640), (640, 320), (320, 50), (256, 128), (64, 12))
_SAME = (1, 1, 1, 1)
CASES: tuple[Case, ...] = (
    *(_fully_connected(*sizes) for sizes in _FLAT),
    Case("Conv2D", "conv3x3", (32, 32, 16), (16, 3, 3, 16), Conv2D(padding=_SAME)),
    Case("Conv2D", "conv1x1", (25, 5, 64), (64, 1, 1, 64), Conv2D()),
    Case(
        "Conv2D",
        "conv10x4s2",
        (49, 10, 1),
        (64, 10, 4, 1),
        Conv2D(stride=(2, 2), padding=(4, 1, 5, 1)),
    ),
    Case("DepthwiseConv2D", "dw3x3", (25, 5, 64), (3, 3, 64), DepthwiseConv2D(padding=_SAME)),
    Case("Conv2D", "conv1x1k128", (25, 5, 128), (64, 1, 1, 128), Conv2D()),
    Case(
        "Conv2D",
        "conv3d8",
        (1, 128, 32),
        (32, 1, 3, 32),
        Conv2D(padding=(0, 16, 0, 0), dilation=(1, 8)),
    ),
    Case("Conv2D", "conv3x3g8", (16, 16, 64), (64, 3, 3, 8), Conv2D(padding=_SAME, groups=8)),
    *(_blocks(1536, 640, block) for block in BLOCKS),
    *(_blocks(256, 128, block) for block in BLOCKS),
    *(_blocks(128, 64, block, (25, 5)) for block in BLOCKS),
    _blocks(64, 64, 64, (25, 5)),
)


@dataclass(frozen=True)
class KernelRun:
    """One kernel on one case: its one-layer graph, and rows (n, *input shape) int8 to feed it."""

    case: Case
    kernel: str
    weight: str
    graph: Graph
    rows: Array


def runs(features: Iterable[str], wanted: str | None, cases: Iterable[Case]) -> Iterator[KernelRun]:
    """Every kernel that a core with `features` can run, on every case it takes, in table order.

    `wanted`: only the kernel of this name. A kernel that the numbers of a case keep out is left
    out, as an export would do.
    """
    has = frozenset(features)
    for case in cases:
        for kernel in KERNELS:
            if kernel.op != case.op or not kernel.needs <= has or wanted not in (None, kernel.name):
                continue
            graph = layer_graph(case, str(kernel.weight), kernel.name)
            if kernel.suits in _ALONE and not kernel.suits(graph, graph.nodes[0]):
                continue
            if refusal(graph, graph.nodes[0], kernel) is None:
                yield KernelRun(case, kernel.name, str(kernel.packing), graph, _rows(case))


def layer_graph(case: Case, weight_format: str, kernel: str) -> Graph:
    """The case as a lowered graph with random weights of a format, the same ones every time; as
    many of a row as the kernel's norm allows.
    """
    rng = np.random.default_rng(case.weight_shape)
    attrs = replace(case.attrs, weight_format=weight_format)
    codes = _codes(rng, weight_format, case.weight_shape)
    stream = kernel_named(kernel).stream if kernel else None
    if stream is not None and stream.most_norm is not None:
        codes = codes * (np.abs(codes.astype(np.int64)).cumsum(1) <= stream.most_norm)
    axis = OPS[case.op].weight_axis
    assert axis is not None  # every case is a layer with weights
    scales = rng.uniform(0.5, 1.5, case.weight_shape[axis]) / WEIGHT_RANGE[weight_format][1]
    along = [1] * codes.ndim
    along[axis] = -1
    bias = rng.normal(0, 0.1, case.weight_shape[axis])
    more = _block_scale(rng, case)
    x = (_rows(case).astype(np.float64) - INPUT_QUANT.zero_point) * INPUT_QUANT.per_tensor
    real = {"weight": codes * scales.reshape(along), "bias": bias, **more}
    y = OPS[case.op].float_forward(attrs, (x,), real)
    out = Quant((float(np.quantile(np.abs(y), 0.995)) / 127,), 5)
    quant = Quant(tuple(float(s) for s in scales), 0, axis)
    values, types = integer_layer(codes, quant, bias, INPUT_QUANT.per_tensor, out.per_tensor)
    values = {**values, **more}
    node = Node(
        "layer",
        case.op,
        ("x",),
        ("y",),
        attrs,
        {role: role for role in values},
        kernel,
    )
    tensors = {
        "x": TensorType(case.input_shape, "int8", INPUT_QUANT),
        "y": TensorType(y.shape[1:], "int8", out),
        **{role: TensorType(v.shape, str(v.dtype)) for role, v in values.items()},
        **types,
    }
    return Graph(f"bench_{case.shape}", ("x",), ("y",), (node,), tensors, values)


def _block_scale(rng: np.random.Generator, case: Case) -> dict[str, Array]:
    """Its block scales by role, none for other ops."""
    if not isinstance(case.attrs, BlockFullyConnected):
        return {}
    outputs, inputs = case.weight_shape
    shape = outputs, -(-inputs // case.attrs.block)
    return {"block_scale": rng.integers(64, 256, shape, dtype=np.uint8)}


def _codes(rng: np.random.Generator, weight_format: str, shape: tuple[int, ...]) -> Array:
    low, high = WEIGHT_RANGE[weight_format]
    step = 2 if weight_format in ("s2", "b1") else 1
    codes = rng.choice(np.arange(low, high + 1, step), size=shape)
    return codes.astype(np.int16 if weight_format == "s16" else np.int8)


def _rows(case: Case) -> Array:
    """Random rows, and the two that drive every sum to its ends."""
    rng = np.random.default_rng(1)
    rows = rng.integers(-128, 128, (4, *case.input_shape), dtype=np.int8)
    rows[2:] = np.array([-128, 127], np.int8).reshape(-1, *[1] * len(case.input_shape))
    return rows


def cases_named(shape: str | None) -> tuple[Case, ...]:
    """The cases of that shape, all of them for None. Raises BadInput."""
    chosen = tuple(case for case in CASES if shape in (None, case.shape))
    if not chosen:
        raise BadInput(f"no shape {shape!r}; there are {', '.join(c.shape for c in CASES)}")
    return chosen
