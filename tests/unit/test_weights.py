import dataclasses

import numpy as np
import pytest

from edgeq.errors import BadInput
from edgeq.kernels import PACKINGS, weight_rows
from edgeq.ops.fixed_point import exp_table
from edgeq.weights import OUTPUT_TABLE, PackedWeights, pack_weights, packed_words
from tests.factory import conv_graph, fc_graph, mixture_graph


def values_of(packed: PackedWeights, key: tuple[str, str, str]) -> np.ndarray:
    return next(c.values for c in packed.constants if c.symbol == packed.symbols[key])


@pytest.mark.parametrize("formats", [("s16", "s8", "s4", "s3"), ("s2", "t2", "b1")])
def test_weights_come_back_from_their_words(formats: tuple[str, ...]) -> None:
    graph = fc_graph(np.random.default_rng(1), formats)
    packed = pack_weights(graph)
    for node in graph.nodes:
        if node.op != "FullyConnected":
            continue
        weight = graph.param(node, "weight")
        words = values_of(packed, ("", node.name, "weight"))
        assert words.dtype == np.uint32
        packing = PACKINGS[node.attrs.weight_format]
        back = packing.unpack(words.astype("<u4").tobytes(), *weight.shape)
        np.testing.assert_array_equal(back, weight)
        shift = values_of(packed, ("", node.name, "shift"))
        assert shift.dtype == np.int8
        np.testing.assert_array_equal(shift, graph.param(node, "shift"))


def test_convolutions_are_packed_by_rows() -> None:
    graph = conv_graph(np.random.default_rng(1))
    packed = pack_weights(graph)
    for node in graph.nodes:
        if node.op in ("Conv2D", "DepthwiseConv2D"):
            rows = weight_rows(node.op, graph.param(node, "weight"))
            words = values_of(packed, ("", node.name, "weight"))
            np.testing.assert_array_equal(words, packed_words(node.attrs.weight_format, rows))


def test_layers_add_up_to_the_total() -> None:
    graph = mixture_graph(np.random.default_rng(1), trunk="fc")
    packed = pack_weights(graph)
    assert sum(packed.layer_bytes.values()) == packed.total_bytes
    owners = ["", "t2_0", "s4_1", "s8_2"]
    assert sum(packed.expert_bytes(owner) for owner in owners) == packed.total_bytes
    assert len({c.symbol for c in packed.constants}) == len(packed.constants)


def test_equal_constants_are_stored_once() -> None:
    graph = mixture_graph(np.random.default_rng(1), formats=("s8", "s8"))
    node = graph.nodes[-1]
    first = node.attrs.experts[0]
    twin = dataclasses.replace(first, name="twin")
    attrs = dataclasses.replace(node.attrs, experts=(first, twin))
    packed = pack_weights(graph.with_nodes([dataclasses.replace(node, attrs=attrs)]))
    assert packed.expert_bytes(first.name) > 0
    assert packed.expert_bytes("twin") == 0
    name = first.graph.nodes[0].name
    assert packed.symbols["twin", name, "bias"] == packed.symbols[first.name, name, "bias"]
    np.testing.assert_array_equal(
        values_of(packed, OUTPUT_TABLE),
        exp_table(graph.tensors[graph.outputs[0]].quant.per_tensor),  # type: ignore[union-attr]
    )


def test_experts_of_one_name_are_refused() -> None:
    graph = mixture_graph(np.random.default_rng(1), formats=("s8", "s8"))
    node = graph.nodes[-1]
    twice = dataclasses.replace(node.attrs, experts=(node.attrs.experts[0],) * 2)
    with pytest.raises(ValueError, match="names of their own"):
        pack_weights(graph.with_nodes([dataclasses.replace(node, attrs=twice)]))


def test_codes_out_of_range_are_refused() -> None:
    graph = fc_graph(np.random.default_rng(1), ("t2",))
    name = graph.nodes[0].params["weight"]
    bad = graph.constants[name].copy()
    bad[0, 0] = 2
    with pytest.raises(BadInput, match="t2 holds"):
        pack_weights(graph.with_constants({name: bad}))


def test_shift_that_leaves_int8_is_refused() -> None:
    graph = fc_graph(np.random.default_rng(1), ("s8",))
    name = graph.nodes[0].params["shift"]
    with pytest.raises(ValueError, match="do not fit int8"):
        pack_weights(graph.with_constants({name: graph.constants[name] + 1000}))


def test_true_width() -> None:
    graph = fc_graph(np.random.default_rng(1), ("t2",), features=64, classes=8)
    packed = pack_weights(graph)
    node = graph.nodes[0].name
    assert values_of(packed, ("", node, "weight")).nbytes == 64 * 8 // 4
    assert packed.layer_bytes["", node] == 64 * 8 // 4 + 8 * (4 + 4 + 1)
