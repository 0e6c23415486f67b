"""Weights in a wider kernel's layout, where that is the faster one: which, and what is said."""

import numpy as np
import pytest

from edgeq.bench.cases import CASES, layer_graph
from edgeq.ir import Graph
from edgeq.kernels import kernel_named
from edgeq.kernels.widening import FEW_WEIGHTS
from edgeq.passes.select_kernels import fallbacks, select_kernels, widened
from edgeq.weights import pack_weights

DSP, V6M = frozenset({"dsp"}), frozenset({"v6m"})


def lowered(shape: str, token: str, features: frozenset[str]) -> Graph:
    case = next(case for case in CASES if case.shape == shape)
    return select_kernels(layer_graph(case, token, ""), features)


@pytest.mark.parametrize(
    ("shape", "token", "features", "kernel"),
    [
        ("conv3x3", "s4", DSP, "edgeq_conv_2d_s8_s8_dsp"),  # 2,304 weights
        ("conv10x4s2", "s4", DSP, "edgeq_conv_2d_s8_s4_dsp"),  # 2,560
        ("conv1x1", "s4", DSP, "edgeq_conv_2d_s8_s4_dsp"),  # 4,096
        ("dw3x3", "s4", DSP, "edgeq_depthwise_conv_2d_s8_s8_dsp"),
        ("conv3x3", "s4", V6M, "edgeq_conv_2d_s8_s4_v6m"),
        ("conv3x3", "s4", frozenset(), "edgeq_conv_2d_s8_s4"),
        ("conv1x1", "b1", DSP, "edgeq_conv_2d_s8_s4_dsp"),
        ("conv1x1", "s2", V6M, "edgeq_conv_2d_s8_s4_v6m"),
        ("conv3x3", "s3", DSP, "edgeq_conv_2d_s8_s4_dsp"),
        ("conv3x3", "s3", frozenset(), "edgeq_conv_2d_s8_s3"),
        ("conv3x3", "t2", DSP, "edgeq_conv_2d_s8_t2_dsp"),
        ("64x12", "s4", DSP, "edgeq_fully_connected_s8_s4_dsp"),
    ],
)
def test_the_faster_kernel_is_taken_and_said(
    shape: str, token: str, features: frozenset[str], kernel: str
) -> None:
    graph = lowered(shape, token, features)
    (node,) = graph.nodes
    assert node.kernel == kernel
    stored = kernel_named(kernel).weight
    said = "" if stored == token else f"layer stores its {token} weights as {stored}, as {kernel} "
    assert "".join(widened(graph)).startswith(said)
    assert len([*widened(graph)]) == bool(said)
    if features:
        assert fallbacks(graph, features) == ()


def test_what_a_widening_takes_of_flash_is_bounded() -> None:
    small, large = (pack_weights(lowered(s, "s4", DSP)).total_bytes for s in ("conv3x3", "conv1x1"))
    assert small - pack_weights(lowered("conv3x3", "t2", DSP)).total_bytes < FEW_WEIGHTS
    assert large < 4096


def test_a_wider_kernel_that_refuses_the_layer_is_passed_by() -> None:
    """Depthwise ones take no channel whose sum, shifted left, leaves 31 bits, at either width."""
    case = next(case for case in CASES if case.shape == "dw3x3")
    graph = layer_graph(case, "s4", "")
    shift = graph.nodes[0].params["shift"]
    left = np.where(np.arange(64) == 3, 18, graph.constants[shift]).astype(np.int32)
    graph = select_kernels(graph.with_constants({shift: left}), DSP)
    assert graph.nodes[0].kernel == "edgeq_depthwise_conv_2d_s8_s4"
    assert [*widened(graph)] == []
    left = np.minimum(left, 1)
    graph = select_kernels(graph.with_constants({shift: left}), DSP)
    assert graph.nodes[0].kernel == "edgeq_depthwise_conv_2d_s8_s8_dsp"
