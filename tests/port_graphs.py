"""Quantised graphs with several ports, as the passes leave them."""

from dataclasses import replace

import numpy as np

from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ops.delay import Delay
from edgeq.ops.embedding import Embedding
from edgeq.ops.narrow import Narrow
from edgeq.passes import quantize
from edgeq.passes.lower import lower_node
from edgeq.passes.select_kernels import select_kernels
from edgeq.passes.stream import stream, timing
from tests.factory import GraphBuilder
from tests.stream_graphs import window_graph

LEFT, RIGHT = 6, 6


def _two_inputs(seed: int) -> GraphBuilder:
    rng = np.random.default_rng(seed)
    samples = rng.integers(-128, 128, (48, LEFT), dtype=np.int8)
    build = GraphBuilder(rng, "pair", samples, Quant((0.02,), 4))
    build.values["right"] = rng.integers(-128, 128, (48, RIGHT), dtype=np.int8)
    build.tensors["right"] = TensorType((RIGHT,), "int8", Quant((0.03,), -7))
    return build


def two_inputs(seed: int = 0) -> Graph:
    """left and right, added, to one answer of four."""
    build = _two_inputs(seed)
    build.add("input", "right")
    build.fully_connected(4)
    return replace(build.graph(), inputs=("input", "right"), input_names=("left", "right"))


def two_by_two(seed: int = 0) -> Graph:
    """left and right to "classes" (4) and "hidden" (7), which the layer of classes reads too."""
    build = _two_inputs(seed)
    build.add("input", "right")
    hidden = build.fully_connected(7, activation="relu")
    classes = build.fully_connected(4)
    graph = build.graph((classes, hidden))
    names = {"input_names": ("left", "right"), "output_names": ("classes", "hidden")}
    return replace(graph, inputs=("input", "right"), **names)


def with_delay(seed: int = 0) -> Graph:
    """Each frame of six beside the one before it: their sum's classes."""
    rng = np.random.default_rng(seed)
    samples = rng.integers(-128, 128, (48, LEFT), dtype=np.int8)
    build = GraphBuilder(rng, "frames", samples, Quant((0.02,), 4))
    now = build.fully_connected(5, activation="relu")
    before = build.delay()
    build.add(now, before)
    build.delay()
    build.fully_connected(4)
    return build.graph()


def with_history(seed: int = 0) -> Graph:
    """A window of fourteen frames, two at a time."""
    window = window_graph(seed, 0)
    return select_kernels(stream(window, 2 * timing(window).step), frozenset())


def wide_input(seed: int = 0) -> Graph:
    """An int16 frame of five, narrowed to the classes' layer."""
    rng = np.random.default_rng(seed)
    samples = rng.integers(-128, 128, (48, 5), dtype=np.int8)
    build = GraphBuilder(rng, "wide", samples, Quant((0.02,), 4))
    build.fully_connected(3)
    graph = build.graph()
    sound = TensorType((5,), "int16", Quant((0.0001,)))
    tensors = {"sound": sound, "late": sound, "small": graph.tensors["input"]}
    narrow = Node("narrow", "Narrow", ("sound",), ("small",), Narrow(), {}, "edgeq_narrow_s16")
    (layer,) = graph.nodes
    graph = replace(graph, inputs=("sound",)).with_tensors(tensors)
    return lower_node(graph.with_nodes((narrow, replace(layer, inputs=("small",)))), narrow)


def of_ids(seed: int = 0) -> Graph:
    """Five ids among seven rows, to a layer of classes."""
    rng = np.random.default_rng(seed)
    tensors = {"ids": TensorType((5,)), "rows": TensorType((5, 4)), "table": TensorType((7, 4))}
    node = Node("words", "Embedding", ("ids",), ("rows",), Embedding(), {"table": "table"})
    values = {"table": rng.normal(size=(7, 4)).astype(np.float32)}
    graph = Graph("words", ("ids",), ("rows",), (node,), tensors, values)
    return quantize(graph, rng.integers(0, 7, (20, 5)).astype(np.float32), "minmax").graph


def wide_delay(seed: int = 0) -> Graph:
    """As `wide_input`, of the frame before, which is an int16 output of its own."""
    graph = wide_input(seed)
    narrow, *rest = graph.nodes
    delay = Node("delay", "Delay", ("sound",), ("late",), Delay(), {}, "edgeq_delay_s8")
    nodes = (delay, replace(narrow, inputs=("late",)), *rest)
    names = {"input_names": ("sound",), "output_names": ("classes", "before")}
    return replace(graph.with_nodes(nodes), outputs=(*graph.outputs, "late"), **names)
