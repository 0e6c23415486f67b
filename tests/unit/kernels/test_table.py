"""Choosing a kernel."""

from dataclasses import replace

import pytest

from edgeq.bench.cases import _fully_connected, layer_graph
from edgeq.errors import UnsupportedOp
from edgeq.kernels import KERNELS, PACKINGS, kernel_named, select, table
from edgeq.kernels.streams import trits
from edgeq.passes.select_kernels import select_kernels
from edgeq.weights import packed_words


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
