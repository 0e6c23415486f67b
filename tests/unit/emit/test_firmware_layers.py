"""The layers of a model: numbers that reports and headers print."""

import numpy as np

from edgeq.emit.firmware_layers import layers_of, snake_case
from edgeq.ir import Graph
from edgeq.ops import OPS
from edgeq.reference import io_of
from edgeq.weights import OUTPUT_TABLE, pack_weights
from tests.factory import conv_graph, mixture_graph


def weighed() -> Graph:
    """fc 11 - mixture of the two best of three experts, their outputs weighed."""
    rng = np.random.default_rng(11)
    return mixture_graph(rng, trunk="fc", top_k=2, gate="probability", classes=5)


def test_layers_are_numbered_in_their_order() -> None:
    layers = [x.info for x in layers_of(weighed(), pack_weights(weighed()))]
    assert [x.index for x in layers] == list(range(len(layers)))
    inner = ["t2_0"] * 3 + ["s4_1"] * 2 + ["s8_2"] * 3
    assert [x.expert for x in layers] == [None, None, None, *inner]
    assert [x.op for x in layers[:3]] == ["fully_connected", "mixture", "mixture"]
    assert [x.weight_format for x in layers[:3]] == ["s8", "s8", None]


def test_macs_of_every_layer() -> None:
    """Of the fully connected ones, from the shapes; of a gate, an output of each chosen expert."""
    for layer in layers_of(weighed(), pack_weights(weighed())):
        if layer.part == "gate":
            assert layer.info.macs == 2 * 5
        elif layer.node.op == "FullyConnected":
            weight = layer.graph.type_of(layer.node.params["weight"]).shape
            assert layer.info.macs == int(np.prod(weight))
        else:
            node = layer.node
            parameters = layer.graph.params(node)
            wanted = OPS[node.op].macs(node.attrs, io_of(layer.graph, node), parameters)
            assert layer.info.macs == wanted


def test_bytes_of_the_layers_add_up_to_all_but_the_output_table() -> None:
    for graph in (weighed(), conv_graph(np.random.default_rng(11))):
        packed = pack_weights(graph)
        layers = layers_of(graph, packed)
        table = next(c.bytes for c in packed.constants if c.symbol == packed.symbols[OUTPUT_TABLE])
        assert sum(x.info.weight_bytes for x in layers) == packed.total_bytes - table
        without = {x.info.op for x in layers if not x.node.params or x.part == "gate"}
        assert without  # layers without constants are among them, and take nothing
        assert all(x.info.weight_bytes == 0 for x in layers if x.info.op in without - {"mixture"})


def test_names_of_ops() -> None:
    assert snake_case("DepthwiseConv2D") == "depthwise_conv_2d"
