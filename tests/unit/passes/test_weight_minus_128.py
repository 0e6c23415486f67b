"""Weights of -128, which files quantised elsewhere hold, run on kernels that are exact on them."""

import numpy as np
import pytest

from edgeq.bench.cases import CASES, layer_graph
from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ops.fully_connected import FullyConnected
from edgeq.passes.select_kernels import fallbacks, fallen, select_kernels
from edgeq.passes.verify import verify

DSP = frozenset({"dsp"})


def graph_with(least: int) -> Graph:
    """One layer whose smallest weight is `least`."""
    weight = np.array([[least, 127, 3, -5], [1, 2, 3, 4]], np.int8)
    values = {
        "fc.weight": weight,
        "fc.bias": np.array([5, -7], np.int32),
        "fc.multiplier": np.array([2**30, 2**30], np.int32),
        "fc.shift": np.array([-6, -3], np.int32),
    }
    types = {name: TensorType(v.shape, str(v.dtype)) for name, v in values.items()}
    types["fc.weight"] = TensorType(weight.shape, "int8", Quant((0.01, 0.02), 0, 0))
    types["x"] = TensorType((4,), "int8", Quant((0.1,), 3))
    types["y"] = TensorType((2,), "int8", Quant((0.1,), -4))
    params = {role: f"fc.{role}" for role in ("weight", "bias", "multiplier", "shift")}
    node = Node("fc", "FullyConnected", ("x",), ("y",), FullyConnected(), params)
    return verify(Graph("g", ("x",), ("y",), (node,), types, values), "lowered")


@pytest.mark.parametrize(("least", "kernel"), [(-127, "s8_s8_dsp"), (-128, "s8_s8")])
def test_a_weight_of_minus_128_keeps_a_layer_off_the_dsp(least: int, kernel: str) -> None:
    graph = select_kernels(graph_with(least), DSP)
    assert graph.nodes[0].kernel == f"edgeq_fully_connected_{kernel}"
    assert [*fallen(graph, DSP)] == (
        [] if least == -127 else [f"fc runs on {graph.nodes[0].kernel}, as a weight is -128"]
    )


@pytest.mark.parametrize(("least", "isa"), [(-127, "_v6m"), (-128, "")])
def test_nor_does_a_convolution_of_armv6m_take_one(least: int, isa: str) -> None:
    """There two rows share a half-word; those of fully connected layers stand alone."""
    features = frozenset({"v6m"})
    assert select_kernels(graph_with(least), features).nodes[0].kernel.endswith("s8_s8_v6m")
    graph = layer_graph(next(case for case in CASES if case.shape == "conv1x1"), "s8", "")
    name = graph.nodes[0].params["weight"]
    weight = graph.constants[name].copy()
    weight[3, 0, 0, 5] = least
    graph = select_kernels(graph.with_constants({name: weight}), features)
    assert graph.nodes[0].kernel == f"edgeq_conv_2d_s8_s8{isa}"
    assert len(fallbacks(graph, features)) == (least == -128)
