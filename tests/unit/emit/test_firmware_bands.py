"""The functions of layers in bands, to the letter, and where they are called."""

from dataclasses import replace

import numpy as np

from edgeq.emit.firmware import _kernels, firmware_project
from edgeq.emit.firmware_bands import BandsCode, bands_code, bands_of, calls_of
from edgeq.emit.firmware_layers import layers_of
from edgeq.ir import Graph
from edgeq.kernels.staging import staged_bytes
from edgeq.memory import Bands, MemoryPlan, plan_memory
from edgeq.passes.select_kernels import select_kernels
from edgeq.placement import Order
from edgeq.weights import pack_weights
from tests.factory import conv_graph, mixture_graph

DIGEST = "0123456789abcdef" * 4


def planned(**bands: Bands) -> tuple[Graph, MemoryPlan]:
    """The network of conv_graph, 9x7 maps of 6 channels, with these bands."""
    graph = conv_graph(np.random.default_rng(3))
    return graph, replace(plan_memory(graph), bands=bands)


def codes(**bands: Bands) -> tuple[BandsCode, ...]:
    graph, plan = planned(**bands)
    return bands_code(plan, graph, layers_of(graph, pack_weights(graph)))


def named(op: str, number: int = 0) -> str:
    """A node of conv_graph."""
    graph = conv_graph(np.random.default_rng(3))
    return [node.name for node in graph.nodes if node.op == op][number]


def test_rows_from_the_first_on() -> None:
    (code,) = codes(**{named("DepthwiseConv2D"): Bands(4, Order.UP)})
    assert code == BandsCode(
        "layer_1_in_bands",
        "Layer 1 by 4 rows of its output: it may write over its input.",
        "layer_1",
        "edgeq_depthwise_conv_2d_s8_s4",
        False,
        "int32_t row = 0; row < 9; row += 4",
        4,
        7 * 6,
        7 * 6,
    )


def test_pixels_from_the_last_on() -> None:
    """63 of them: the last band begins at 60."""
    (code,) = codes(**{named("Conv2D", 1): Bands(20, Order.DOWN)})
    assert code.comment == (
        "Layer 2 by 20 pixels of its output, the last first: it may write over its input."
    )
    assert code.loop == "int32_t row = 60; row >= 0; row -= 20"
    assert (code.takes_scratch, code.rows, code.input_bytes, code.output_bytes) == (True, 20, 6, 6)


def test_the_last_band_may_be_whole() -> None:
    (code,) = codes(**{named("Conv2D", 1): Bands(21, Order.DOWN)})
    assert code.loop.startswith("int32_t row = 42;")


def test_the_last_band_may_be_one_pixel() -> None:
    (code,) = codes(**{named("Conv2D", 1): Bands(31, Order.DOWN)})
    assert code.loop.startswith("int32_t row = 62;")


def test_what_the_firmware_holds() -> None:
    depthwise, pointwise = named("DepthwiseConv2D"), named("Conv2D", 1)
    graph, plan = planned(**{depthwise: Bands(4, Order.UP), pointwise: Bands(20, Order.DOWN)})
    packed = pack_weights(graph)
    project = firmware_project(graph, plan, packed, model_name="m", digest=DIGEST)
    text = project.files["model/conv_net.c"].decode()
    assert (
        """\
CONV_NET_APART static void layer_2_in_bands(const int8_t *x, int8_t *y, void *scratch) {
    edgeq_conv_2d_params band;
    for (int32_t row = 60; row >= 0; row -= 20) {
        int32_t from = edgeq_conv_2d_band(&layer_2, row, 20, &band);
        edgeq_conv_2d_s8_s4(&band, x + from * 6, y + row * 6, scratch);
    }
}
"""
        in text
    )
    assert "layer_1_in_bands(const int8_t *x, int8_t *y) {" in text
    assert "edgeq_depthwise_conv_2d_s8_s4(&band, x + from * 42, y + row * 42);" in text
    calls = [
        line.strip() for line in text.splitlines() if line.lstrip().startswith("CONV_NET_LAYER(")
    ]
    assert calls[1].startswith("CONV_NET_LAYER(1, layer_1_in_bands(context->arena.bytes + ")
    assert calls[2].startswith("CONV_NET_LAYER(2, layer_2_in_bands(context->arena.bytes + ")
    assert calls[2].endswith(", NULL));")
    assert calls[1].count(",") == 2
    assert "kernels/edgeq_conv_2d_band.c" in project.files


def test_nothing_of_it_without_bands() -> None:
    graph, plan = planned()
    project = firmware_project(graph, plan, pack_weights(graph), model_name="m", digest=DIGEST)
    assert "kernels/edgeq_conv_2d_band.c" not in project.files
    assert "APART" not in project.files["model/conv_net.c"].decode()
    assert codes() == ()


def test_calls_of_each_layer_in_bands() -> None:
    graph, plan = planned(
        **{named("DepthwiseConv2D"): Bands(4, Order.UP), named("Conv2D", 1): Bands(21, Order.UP)}
    )
    assert calls_of(plan, graph, layers_of(graph, pack_weights(graph))) == {1: 3, 2: 3}


def test_an_experts_layer_is_found_in_its_own_plan() -> None:
    graph = mixture_graph(np.random.default_rng(3), trunk="fc")
    layers = layers_of(graph, pack_weights(graph))
    plan = plan_memory(graph)
    inner = [x for x in layers if x.info.expert == "s4_1"]
    bands = {inner[0].node.name: Bands(1, Order.UP)}
    experts = tuple(replace(p, bands=bands) if i == 1 else p for i, p in enumerate(plan.experts))
    plan = replace(plan, experts=experts)
    found = [x for x in layers if bands_of(plan, graph, x) is not None]
    assert found == [inner[0]]
    assert not [x for x in layers if x.part != "node" and bands_of(plan, graph, x)]
    assert "edgeq_conv_2d_band" in {kernel.name for kernel in _kernels(layers, False, plan)}


def staged_graph() -> Graph:
    """conv_graph on DSP kernels, its second convolution with weights in RAM."""
    graph = select_kernels(conv_graph(np.random.default_rng(3)), frozenset({"dsp"}))
    name = named("Conv2D", 1)
    return graph.with_staged({("", name)})


def test_weights_in_ram_have_a_function_of_their_own() -> None:
    graph = staged_graph()
    (code,) = bands_code(plan_memory(graph), graph, layers_of(graph, pack_weights(graph)))
    kernel = next(n.kernel for n in graph.nodes if n.staged)
    words = staged_bytes(graph, next(n for n in graph.nodes if n.staged)) // 4
    said = f"Layer 2. Its weights are read from RAM: {4 * words} bytes, copied once."
    assert code == BandsCode(
        "layer_2_staged", said, "layer_2", str(kernel), True, "", 0, 0, 0, words
    )


def test_bands_read_them_there_too() -> None:
    graph = staged_graph()
    plan = replace(plan_memory(graph), bands={named("Conv2D", 1): Bands(20, Order.UP)})
    (code,) = bands_code(plan, graph, layers_of(graph, pack_weights(graph)))
    assert code.symbol == "layer_2_in_bands"
    assert code.comment.startswith("Layer 2 by 20 pixels of its output: it may write over its ")
    said = f". Its weights are read from RAM: {4 * code.staged_words} bytes, copied once."
    assert code.comment.endswith(said)
    assert code.staged_words == staged_bytes(graph, graph.nodes[2]) // 4


def test_what_the_firmware_holds_of_them() -> None:
    graph = staged_graph()
    plan, packed = plan_memory(graph), pack_weights(graph)
    project = firmware_project(graph, plan, packed, model_name="m", digest=DIGEST)
    text = project.files["model/conv_net.c"].decode()
    words = staged_bytes(graph, graph.nodes[2]) // 4
    assert (
        f"""\
static void layer_2_staged(const int8_t *x, int8_t *y, void *scratch, void *weight) {{
    edgeq_conv_2d_params staged;
    edgeq_conv_2d_staged(&layer_2, {words}, weight, &staged);
    {graph.nodes[2].kernel}(&staged, x, y, scratch);
}}
"""
        in text
    )
    (call,) = (line for line in text.splitlines() if "LAYER(2, layer_2_staged(" in line)
    assert call.count("context->arena.bytes + ") == 4
    assert call.endswith("_STAGED));")
    files = project.files
    assert "kernels/edgeq_conv_2d_staged.c" in files
    assert "kernels/edgeq_conv_2d_band.c" in files
    plain = graph.with_staged(())
    project = firmware_project(plain, plan_memory(plain), packed, model_name="m", digest=DIGEST)
    assert "kernels/edgeq_conv_2d_staged.c" not in project.files
