"""The functions of layers in parts, to the letter, and where they are called."""

import numpy as np

from edgeq.emit.firmware import firmware_project
from edgeq.emit.firmware_layers import layers_of
from edgeq.emit.firmware_parts import PartsCode, parts_code
from edgeq.ir import Graph, Quant
from edgeq.kernels.parts import Rooms
from edgeq.memory import kernel_scratch, plan_memory
from edgeq.weights import pack_weights
from tests.graph_builder import GraphBuilder
from tests.unit.emit.test_firmware_bands import DIGEST


def network() -> Graph:
    """A dense layer, two groups at dilation 2 and a depthwise one, dilated along the width."""
    rng = np.random.default_rng(3)
    samples = rng.integers(-128, 128, (8, 9, 7, 3), dtype=np.int8)
    build = GraphBuilder(rng, "parts_net", samples, Quant((0.02,), 7))
    build.conv(4, (1, 1))
    build.conv(6, (3, 3), "s4", stride=(3, 1), padding=(2, 2, 2, 2), dilation=(2, 2), groups=2)
    build.depthwise((1, 3), padding=(0, 3, 0, 3), dilation=(1, 3))
    return build.graph()


def test_what_the_functions_are_made_of() -> None:
    """Rows of weights are 18 nibbles, in three words; the first phase has 4 of the 7 columns."""
    graph = network()
    grouped, depthwise = parts_code(layers_of(graph, packed := pack_weights(graph)), packed)
    assert grouped == PartsCode(
        "layer_1_in_parts",
        "Layer 1 as 2 groups of 2 times 2 phases, a dense one each.",
        "layer_1",
        "edgeq_conv_2d_s8_s4",
        True,
        "2, 3, 36, {2, 2, 3}, {2, 2, 1}",
        2,
        2,
        2,
        Rooms(40, 24, 18),
    )
    assert depthwise.comment == "Layer 2 as 1 times 3 phases, a dense one each."
    assert (depthwise.takes_scratch, depthwise.groups) == (False, 1)
    assert depthwise.struct == f"6, 6, {3 * 8}, {{1, 1, 1}}, {{3, 3, 1}}"
    assert (depthwise.rows, depthwise.columns, depthwise.rooms.kernel) == (1, 3, 0)


def test_what_the_firmware_holds() -> None:
    graph = network()
    plan = plan_memory(graph)
    project = firmware_project(graph, plan, pack_weights(graph), model_name="m", digest=DIGEST)
    text = project.files["model/parts_net.c"].decode()
    assert (
        """\
static const edgeq_conv_2d_parts layer_1_parts = {2, 3, 36, {2, 2, 3}, {2, 2, 1}};

PARTS_NET_APART static void layer_1_in_parts(const int8_t *x, int8_t *y, int8_t *cells) {
    edgeq_conv_2d_params part;
    int8_t *made = cells + 40;
    for (int32_t group = 0; group < 2; group++) {
        for (int32_t row = 0; row < 2; row++) {
            for (int32_t column = 0; column < 2; column++) {
                edgeq_conv_2d_part(&layer_1, &layer_1_parts, group, row, column, x, cells, &part);
                edgeq_conv_2d_s8_s4(&part, cells, made, made + 24);
                edgeq_conv_2d_put_part(&layer_1, &layer_1_parts, group, row, column, made, y);
            }
        }
    }
}
"""
        in text
    )
    assert "edgeq_depthwise_conv_2d_s8_s8(&part, cells, made);" in text
    calls = [
        line.strip() for line in text.splitlines() if line.lstrip().startswith("PARTS_NET_LAYER(")
    ]
    scratch = [plan.buffer(f"{node.name}.scratch") for node in graph.nodes[1:]]
    assert [b.bytes for b in scratch] == [kernel_scratch(graph, node) for node in graph.nodes[1:]]
    assert "layer_0," in calls[0]
    assert calls[1].startswith("PARTS_NET_LAYER(1, layer_1_in_parts(context->arena.bytes + ")
    assert calls[1].endswith("_SCRATCH));")
    assert calls[2].startswith("PARTS_NET_LAYER(2, layer_2_in_parts(")
    assert {"kernels/edgeq_conv_2d_part.c", "kernels/edgeq_move.h"} <= set(project.files)


def test_nothing_of_it_for_dense_layers() -> None:
    rng = np.random.default_rng(3)
    samples = rng.integers(-128, 128, (8, 5, 5, 3), dtype=np.int8)
    build = GraphBuilder(rng, "dense_net", samples, Quant((0.02,), 7))
    build.conv(4, (3, 3))
    graph = build.graph()
    packed, plan = pack_weights(graph), plan_memory(graph)
    project = firmware_project(graph, plan, packed, model_name="m", digest=DIGEST)
    assert "kernels/edgeq_conv_2d_part.c" not in project.files
    assert "in_parts" not in project.files["model/dense_net.c"].decode()
