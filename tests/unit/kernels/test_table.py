"""Choosing a kernel."""

from dataclasses import replace

import numpy as np
import pytest

from edgeq.bench.cases import CASES, Case, _fully_connected, layer_graph
from edgeq.errors import UnsupportedOp
from edgeq.kernels import KERNELS, PACKINGS, kernel_named, select, table, whole_norm
from edgeq.kernels.streams import block_cells, trits
from edgeq.kernels.streams.convolutions import four_rows_s4, scratch_bytes_depthwise_s8
from edgeq.ops.block_fully_connected import BlockFullyConnected
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
    first = kernel_named("edgeq_fully_connected_s8_s16_dsp")
    fast = replace(first, name="fast", isa="dsp", needs=frozenset({"dsp"}))
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
    assert block[-5] == 0  # its multiplier
    wide = np.where(np.arange(64) == 3, 2**23, graph.constants[bias]).astype(np.int32)
    assert "below 2^-22" in str(refusal(graph.with_constants({bias: wide}), node, kernel))


@pytest.mark.parametrize(
    ("token", "inputs", "most"), [("t2", 65, 63), ("t2", 1536, 63), ("s4", 640, 4095)]
)
def test_rows_whose_norm_allows_it_stay_whole(token: str, inputs: int, most: int) -> None:
    name = f"edgeq_fully_connected_s8_{token}_whole_dsp"
    graph = layer_graph(_fully_connected(inputs, 3), token, name)
    (node,) = graph.nodes
    weight = graph.param(node, "weight").copy()
    top = 1 if token == "t2" else 7
    weight[1] = top * (np.arange(inputs) < most // top)
    weight[1, -1] = most % top
    assert np.abs(weight[1].astype(int)).sum() == most
    graph = graph.with_constants({node.params["weight"]: weight})
    (chosen,) = select_kernels(graph, frozenset({"dsp"})).nodes
    assert chosen.kernel == name
    weight[1, -1] += 1
    graph = graph.with_constants({node.params["weight"]: weight})
    said = refusal(graph, node, kernel_named(name))
    assert said == f"a row's weights add up to {most + 1:,}, of {most:,}"
    (chosen,) = select_kernels(graph, frozenset({"dsp"})).nodes
    assert chosen.kernel == f"edgeq_fully_connected_s8_{token}_dsp"


def test_rows_that_are_not_split_need_no_norm() -> None:
    assert whole_norm("t2", 64) is whole_norm("s4", 512) is whole_norm("s8", 9000) is None
    assert (whole_norm("t2", 65), whole_norm("s4", 513)) == (63, 4095)


@pytest.mark.parametrize(
    ("inputs", "outputs", "kernel"),
    [(128, 640, "t2_v6m"), (1536, 640, "t5"), (1536, 128, "t2_v6m")],
)
def test_a_ternary_layer_never_falls_between_tables_and_lanes(
    inputs: int, outputs: int, kernel: str
) -> None:
    """Outputs enough for tables on ARMv6-M, but too few weights for their kilobyte of code."""
    graph = layer_graph(_fully_connected(inputs, outputs), "t2", "")
    (node,) = select_kernels(graph, frozenset({"v6m"})).nodes
    assert node.kernel == f"edgeq_fully_connected_s8_{kernel}"


@pytest.mark.parametrize(
    ("token", "near", "far"),
    [
        ("s8", -2, (-31, -13, -1, 0, 5)),
        ("s4", -2, (-31, -13, -1, 0, 5)),
        ("t2", 0, (-31, -13, 1, 5)),
    ],
)
def test_a_block_tells_by_one_odd_word_that_a_shift_is_far(
    token: str, near: int, far: tuple[int, ...]
) -> None:
    """The first multiplier of eight bits, else the first bias."""
    join = kernel_named(f"edgeq_conv_2d_s8_{token}_dsp").stream.join
    biases, at, times = ([0, 4, 1, 5], 6, 1) if token == "s8" else ([2, 3, 4, 5], 2, 2)
    for one in far:
        shift = np.array([-12, near, -5, -9, -4, -3, one, -5])
        for multiplier, odd in ((2**30, [0, 1]), (0, [0, 0])):  # one of 0 needs no shift
            factors = np.full(8, multiplier)
            words = join(np.zeros(4, np.uint32), np.arange(8) - 4, factors, shift).reshape(2, -1)
            assert (words[:, at] & 1).tolist() == odd
            words[:, at] &= 0xFFFFFFFE
            bias = words[:, biases].astype(np.int32).ravel()
            assert bias.tolist() == [times * n for n in range(-4, 4)]


def test_rows_in_eights_stand_one_behind_the_other() -> None:
    rows = np.random.default_rng(1).integers(-8, 8, (16, 8))
    both = four_rows_s4(rows)
    assert both.shape == (2, 4, 2)
    apart = [four_rows_s4(rows[:8]), four_rows_s4(rows[8:])]
    np.testing.assert_array_equal(both, np.concatenate(apart))


@pytest.mark.parametrize(
    ("stride", "size"), [((2, 2), 1696), ((1, 3), 304), ((3, 1), 320), ((3, 3), 464)]
)
def test_strips_of_a_depthwise_layer_are_for_steps_of_one_and_two(
    stride: tuple[int, int], size: int
) -> None:
    """Three by three cells to three by three outputs; longer steps take the window alone."""
    height, width = (2 * step + 3 for step in stride)
    window = (3, 3, 8), (height, width, 8), (3, 3, 8), (0, 0, 0, 0)
    assert scratch_bytes_depthwise_s8(*window, stride) == size


@pytest.mark.parametrize("token", ["s4", "t2"])
@pytest.mark.parametrize(
    ("cells", "inputs", "form"),
    [((5, 5), 64, "_cells"), ((1, 2), 36, "_cells"), ((1,), 64, ""), ((), 64, ""), ((9,), 66, "")],
)
def test_cells_with_block_scales_go_by_twos(
    token: str, cells: tuple[int, ...], inputs: int, form: str
) -> None:
    """Where there are two, and whole fours of inputs."""
    attrs = BlockFullyConnected(block=32)
    case = Case("BlockFullyConnected", "cells", (*cells, inputs), (5, inputs), attrs)
    (node,) = select_kernels(layer_graph(case, token, ""), frozenset({"dsp"})).nodes
    assert node.kernel == f"edgeq_block_fully_connected_s8_{token}{form}_dsp"


def test_scratch_of_cells_has_room_for_as_many_pairs_as_there_are_and_fit() -> None:
    """A head of 6 words and 64 of activations, 7 times in 512 words; one pair whatever it takes."""
    wanted = {2: 280, 3: 560, 13: 1960, 14: 1960, 500: 1960}
    assert {n: block_cells.SCRATCH["s4"](64, 64, n) for n in wanted} == wanted
    assert block_cells.SCRATCH["t2"](1024, 64, 9) == 4 * 16 * 68
