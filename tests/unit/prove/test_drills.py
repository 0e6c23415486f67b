"""What layers are fed with in a firmware's proof: every layer, as often, and by the reference."""

from collections import Counter

import numpy as np

from edgeq.emit.firmware_layers import Layer, layers_of
from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.passes.select_kernels import select_kernels
from edgeq.prove import drills as module
from edgeq.prove.drills import Drills, turns
from edgeq.prove.trials import trials
from edgeq.weights import pack_weights
from tests.factory import input_rows, mixture_graph

SHAPES = {"x": (2, 3), "flat": (6,), "y": (6,)}


def watched(graph: Graph) -> list[Layer]:
    return [layer for layer in layers_of(graph, pack_weights(graph)) if layer.part == "node"]


def test_every_expert_is_fed_on_its_route_and_no_layer_twice_as_often() -> None:
    graph = select_kernels(mixture_graph(np.random.default_rng(4)), frozenset())
    layers = watched(graph)
    asked = trials(graph, input_rows(np.random.default_rng(5), graph, 3), 4)
    drills = Drills(layers, 6)
    assert drills.least == 0
    for owners, own in turns(graph, [t for each in asked for t in each], drills.owning):
        drills.owners = owners
        for _ in range(drills.count + 3):  # more than it has: nothing is left to feed
            names = {graph.nodes[-1].attrs.experts[e].name for e in own[0].experts} | {""}
            fed = [drills.next(layer) for layer in layers if (layer.info.expert or "") in names]
        assert not any(fed)
    assert drills.least == drills.count
    assert set(drills.done.values()) == {drills.count}


def test_inputs_are_of_all_kinds_seeded_and_answered_by_the_reference() -> None:
    graph = select_kernels(mixture_graph(np.random.default_rng(4)), frozenset())
    layer = watched(graph)[0]
    drills, again, other = (Drills([layer], 9, seed) for seed in (0, 0, 1))
    for each in (drills, again, other):
        each.owners = each.owning
    fed = [drills.next(layer) for _ in range(9)]
    assert [again.next(layer) for _ in range(9)] == fed
    assert other.next(layer) != fed[0]
    assert drills.next(layer) is None
    codes = [np.frombuffer(one.inputs[0], np.int8) for one in fed if one]
    ends = [set(x.tolist()) <= {-128, 127} for x in codes]
    assert Counter(ends)[True] == 3


def test_two_shapes_of_one_tensor_are_fed_the_same_bytes() -> None:
    quant = Quant((0.5,), 3)
    kinds = {name: TensorType(shape, "int8", quant) for name, shape in SHAPES.items()}
    flat = Node("flat", "Reshape", ("x",), ("flat",), attrs=None, params={})
    graph = Graph("g", ("x",), ("y",), (flat,), kinds, {})
    assert module._root(graph, "flat") == module._root(graph, "x") == "x"
    assert module._root(graph, "y") == "y"
