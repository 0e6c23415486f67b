"""Choosing a kernel."""

from dataclasses import replace

import numpy as np
import pytest

from edgeq.bench.cases import CASES, _fully_connected, layer_graph
from edgeq.errors import UnsupportedOp
from edgeq.kernels import KERNELS, PACKINGS, kernel_named, select, table
from edgeq.kernels.streams import trits
from edgeq.passes.select_kernels import refusal, select_kernels
from edgeq.weights import pack_weights, packed_words


@pytest.mark.parametrize("token", sorted(PACKINGS))
def test_fully_connected_takes_every_format(token: str) -> None:
    assert select("FullyConnected", token).name == f"edgeq_fully_connected_s8_{token}"


@pytest.mark.parametrize("op", ["AveragePool2D", "MaxPool2D", "Add", "Relu", "Mixture"])
def test_ops_without_weights(op: str) -> None:
    assert select(op, None, {"dsp"}).op == op


def test_unknown_op_and_format_are_refused_with_what_exists() -> None:
    with pytest.raises(UnsupportedOp, match=r"no kernel computes Gelu.*FullyConnected, Conv2D"):
        select("Gelu", None)
    with pytest.raises(UnsupportedOp, match="DepthwiseConv2D with weights t2; there are s8, s4"):
        select("DepthwiseConv2D", "t2")
    with pytest.raises(UnsupportedOp, match="edgeq_gelu"):
        kernel_named("edgeq_gelu")


def test_first_row_that_the_core_can_run_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = replace(KERNELS[0], name="fast", isa="dsp", needs=frozenset({"dsp"}))
    monkeypatch.setattr(table, "KERNELS", (fast, *KERNELS))
    assert select("FullyConnected", "s16", {"dsp", "fpu"}).name == "fast"
    assert select("FullyConnected", "s16", {"fpu"}).name == "edgeq_fully_connected_s8_s16"


def test_names_are_unique() -> None:
    assert len({k.name for k in KERNELS}) == len(KERNELS)
    assert kernel_named(KERNELS[3].name) is KERNELS[3]


@pytest.mark.parametrize(
    ("inputs", "outputs", "token"),
    [(1536, 640, "t5"), (320, 64, "t5"), (320, 60, "t2"), (64, 12, "t2"), (160, 64, "t2")],
)
def test_tables_of_trits_for_layers_that_gain_by_them(
    inputs: int, outputs: int, token: str
) -> None:
    """160 inputs fill four blocks, but the kilobyte of longer code is not made up for."""
    graph = layer_graph(_fully_connected(inputs, outputs), "t2", "")
    (node,) = select_kernels(graph, frozenset()).nodes
    assert node.kernel == f"edgeq_fully_connected_s8_{token}"
    (node,) = select_kernels(graph, frozenset({"dsp"})).nodes
    assert node.kernel == "edgeq_fully_connected_s8_t2_dsp"
    weight = graph.param(node, "weight")
    bytes_saved = packed_words("t2", weight).nbytes - trits.pack(weight).nbytes
    assert bytes_saved == trits.saved_bytes(inputs, outputs)


@pytest.mark.parametrize(("token", "reach"), [("s16", 2**31 - 2**8), ("s8", 2**30)])
def test_sums_beyond_a_kernels_reach_are_refused(token: str, reach: int) -> None:
    graph = layer_graph(_fully_connected(8, 2), token, f"edgeq_fully_connected_s8_{token}_dsp")
    (node,) = graph.nodes
    bias, weight = node.params["bias"], graph.param(node, "weight").astype(np.int64)
    most = reach - 1 - 255 * np.abs(weight).sum(1)
    kernel = kernel_named(node.kernel)
    assert refusal(graph.with_constants({bias: most.astype(np.int32)}), node, kernel) is None
    graph = graph.with_constants({bias: (most + np.arange(2)).astype(np.int32)})
    assert f"an accumulator can reach {reach:,}, of {reach:,}" == refusal(graph, node, kernel)


def test_scales_of_a_half_and_more_are_refused_where_sums_have_no_room() -> None:
    """A 4-bit convolution takes left shifts while its sums stay in reach; 8 bits take none."""
    for shape, name, most in (
        ("conv1x1", "edgeq_conv_2d_s8_s4_dsp", 5),
        ("64x12", "edgeq_fully_connected_s8_s8_dsp", -1),
    ):
        graph = layer_graph(next(c for c in CASES if c.shape == shape), name[-6:-4], name)
        (node,) = graph.nodes
        shift, bias = node.params["shift"], node.params["bias"]
        weight = graph.param(node, "weight").astype(np.int64)
        reach = np.abs(weight).reshape(len(weight), -1).sum(1) * 255
        room = (2**30 >> 5) - 1 - reach  # whatever the zero point
        graph = graph.with_constants({bias: room.astype(np.int32)})
        kernel = kernel_named(node.kernel)
        for by in (most, most + 1):
            left = np.where(np.arange(len(weight)) == 3, by, graph.constants[shift])
            why = refusal(graph.with_constants({shift: left.astype(np.int32)}), node, kernel)
            assert (why is None) == (by == most), why


def test_a_conv_2d_of_tiny_scales_is_exact_or_refused() -> None:
    """Below 2^-22 a channel is taken for 0, which only one of small sums is."""
    case = next(c for c in CASES if c.shape == "conv1x1")
    graph = layer_graph(case, "s8", "edgeq_conv_2d_s8_s8_dsp")
    (node,) = graph.nodes
    kernel = kernel_named(node.kernel)
    shift, bias = node.params["shift"], node.params["bias"]
    tiny = np.where(np.arange(64) == 3, -24, graph.constants[shift]).astype(np.int32)
    graph = graph.with_constants({shift: tiny})
    assert refusal(graph, node, kernel) is None
    words = next(c.values for c in pack_weights(graph).constants if c.role == "weight")
    block = words.reshape(16, -1)[0]
    assert (block[-5] >> 24, block[-1]) == (0, 0)
    wide = np.where(np.arange(64) == 3, 2**23, graph.constants[bias]).astype(np.int32)
    assert "below 2^-22" in str(refusal(graph.with_constants({bias: wide}), node, kernel))
