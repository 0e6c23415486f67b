"""Parts of a convolution with groups or dilation: together they are the layer."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.kernels.parts import PART_KERNEL, parts_of, rooms
from edgeq.kernels.table import kernel_named
from edgeq.ops import OPS
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.window import spanned

Pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def layers(draw: st.DrawFn, depthwise: bool = False) -> tuple[Any, np.ndarray, np.ndarray]:
    """Attributes, rows of a map (2, H, W, C) and weights, whatever windows fit."""
    kernel, stride = draw(Pairs), draw(Pairs)
    dilation = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = draw(st.tuples(*[st.integers(0, 5)] * 4))
    span = spanned(kernel, dilation)
    size = [
        draw(st.integers(max(1, span[i] - padding[i] - padding[i + 2]), span[i] + 6))
        for i in (0, 1)
    ]
    groups, depth, out = draw(st.tuples(*[st.integers(1, 3)] * 3))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = rng.integers(-9, 10, (2, *size, groups * depth)).astype(float)
    window = {"stride": stride, "padding": padding, "dilation": dilation}
    if depthwise:
        weight = rng.integers(-9, 10, (*kernel, groups * depth)).astype(float)
        return DepthwiseConv2D(**window), x, weight
    weight = rng.integers(-9, 10, (groups * out, *kernel, depth)).astype(float)
    return Conv2D(**window, groups=groups), x, weight


def forward(attrs: Any, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    bias = np.zeros(weight.shape[OPS[type(attrs).__name__].weight_axis])
    made = OPS[type(attrs).__name__].float_forward(attrs, (x,), {"weight": weight, "bias": bias})
    return np.asarray(made)


@given(st.booleans().flatmap(layers))
@settings(deadline=None, max_examples=60)
def test_float_is_pytorch(layer: tuple[Any, np.ndarray, np.ndarray]) -> None:
    attrs, x, weight = layer
    top, left, bottom, right = attrs.padding
    groups = getattr(attrs, "groups", x.shape[3])
    filters = (
        weight.transpose(0, 3, 1, 2) if weight.ndim == 4 else weight.transpose(2, 0, 1)[:, None]
    )
    maps = torch.from_numpy(x).permute(0, 3, 1, 2)
    wanted = torch.nn.functional.conv2d(
        torch.nn.functional.pad(maps, (left, right, top, bottom)),
        torch.from_numpy(filters.copy()),
        None, attrs.stride, 0, attrs.dilation, groups,
    )  # fmt: skip
    np.testing.assert_array_equal(forward(attrs, x, weight), wanted.permute(0, 2, 3, 1).numpy())


def graph_of(attrs: Any, x: np.ndarray, weight: np.ndarray, kernel: str | None = None) -> Graph:
    shape = OPS[type(attrs).__name__].result_shape(attrs, (x.shape[1:],), {"weight": weight})
    quant = Quant((1.0,), 0)
    types = {"x": TensorType(x.shape[1:], "int8", quant), "y": TensorType(shape, "int8", quant)}
    types["w"] = TensorType(weight.shape, "int8")
    node = Node("layer", type(attrs).__name__, ("x",), ("y",), attrs, {"weight": "w"}, kernel)
    return Graph("g", ("x",), ("y",), (node,), types, {"w": weight.astype(np.int8)})


def by_parts(attrs: Any, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The layer as dense ones, by the numbers of `parts_of`."""
    graph = graph_of(attrs, x, weight)
    parts = parts_of(graph, graph.nodes[0])
    if parts is None:
        return forward(attrs, x, weight)
    down, across = parts.down, parts.across
    made = np.full((len(x), *graph.tensors["y"].shape), np.nan)
    inner = x.shape[3] // parts.groups, made.shape[3] // parts.groups
    for group in range(parts.groups):
        own = np.split(weight, parts.groups)[group]
        channels = slice(group * inner[0], (group + 1) * inner[0])
        for n, (rows, columns) in enumerate(parts.phases()):
            row, column = divmod(n, across.phases)
            starts = [
                i * a.step - a.padding + p.padding * a.dilation
                for i, a, p in ((row, down, rows), (column, across, columns))
            ]
            cells = x[:, starts[0] :: down.dilation, starts[1] :: across.dilation, channels]
            assert cells.shape[1:3] == (rows.cells, columns.cells)
            room = [
                max(0, (p.outputs - 1) * a.stride + a.kernel - p.cells - p.padding)
                for p, a in ((rows, down), (columns, across))
            ]
            ends = (0, 0), (rows.padding, room[0]), (columns.padding, room[1]), (0, 0)
            dense = replace(
                attrs, stride=(down.stride, across.stride), padding=(0, 0, 0, 0), dilation=(1, 1)
            )
            dense = replace(dense, groups=1) if isinstance(dense, Conv2D) else dense
            got = forward(dense, np.pad(cells, ends), own)[:, : rows.outputs, : columns.outputs]
            outputs = slice(group * inner[1], (group + 1) * inner[1])
            made[:, row :: down.apart, column :: across.apart, outputs] = got
    return made


@given(st.booleans().flatmap(layers))
@settings(deadline=None, max_examples=80)
def test_parts_together_are_the_layer(layer: tuple[Any, np.ndarray, np.ndarray]) -> None:
    np.testing.assert_array_equal(by_parts(*layer), forward(*layer))


def test_a_dense_layer_has_none() -> None:
    x, weight = np.zeros((1, 5, 5, 4)), np.zeros((2, 3, 3, 4))
    graph = graph_of(Conv2D(), x, weight)
    assert parts_of(graph, graph.nodes[0]) is None
    assert kernel_named(PART_KERNEL).op == "Part"


def test_a_kernel_of_one_cell_is_not_dilated() -> None:
    graph = graph_of(Conv2D(dilation=(7, 2)), np.zeros((1, 5, 5, 4)), np.zeros((2, 1, 3, 4)))
    parts = parts_of(graph, graph.nodes[0])
    assert parts is not None
    assert (parts.down.dilation, parts.across.dilation, parts.count) == (1, 2, 1)


def test_what_parts_take_of_scratch() -> None:
    """The largest phase is 3x3 cells of 4 channels, and 3x3 outputs of 2; a patch is 3x3x4."""
    attrs = Conv2D(padding=(2, 2, 2, 2), dilation=(2, 2), groups=2)
    graph = graph_of(attrs, np.zeros((1, 5, 5, 8)), np.zeros((4, 3, 3, 4)))
    node, kernel = graph.nodes[0], kernel_named("edgeq_conv_2d_s8_s8")
    parts = parts_of(graph, node)
    assert parts is not None
    found = rooms(graph, node, kernel, parts)
    assert (found.cells, found.made, found.kernel, found.total) == (40, 24, 36, 100)
    assert parts.count == 8


@pytest.mark.parametrize(
    ("attrs", "weight"),
    [
        (Conv2D(groups=3), (6, 3, 3, 2)),
        (Conv2D(groups=2), (5, 3, 3, 4)),
        (Conv2D(dilation=(4, 1)), (2, 3, 3, 8)),
        (DepthwiseConv2D(dilation=(1, 4)), (3, 3, 8)),
    ],
    ids=["channels", "outputs", "span", "depthwise span"],
)
def test_what_does_not_fit_is_refused(attrs: Any, weight: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"match weight|larger than the padded"):
        OPS[type(attrs).__name__].result_shape(attrs, ((6, 6, 8),), {"weight": np.zeros(weight)})
