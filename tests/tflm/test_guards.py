"""The comparison with TensorFlow Lite Micro itself fails where it should."""

import inspect
import re
from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeq import nn
from edgeq.emit.tflite_model import tflite_model
from edgeq.emit.tflite_rounding import STEPS_APART
from edgeq.ir import Graph
from edgeq.nn.graph import HANDLERS
from edgeq.reference import random_rows
from tests import factory, port_graphs
from tests.factory import conv_graph, fc_graph, input_rows, mixture_graph
from tests.tflm import agreement, cases
from tests.tflm.agreement import assert_agrees, packed, parsed
from tests.tflm.interpreter import TflmRun, run_tflm


def test_every_kind_that_the_emitter_writes_has_a_case() -> None:
    """Ops, weight formats, activations, rules, routers, gates: read off the emitter's tables."""
    found = set().union(*(cases.covered(make()) for make in cases.CASES.values()))
    assert not cases.emitted_kinds() - found


def test_every_layer_of_pytorch_has_a_case() -> None:
    used = {type(m) for make in cases.MODELS.values() for m in make().modules()}
    used |= {nn.GRU, nn.LogMel, nn.MFCC, nn.MGU, nn.PCEN}  # of NO_TFLITE
    assert not [layer.__name__ for layer in HANDLERS if layer not in used]


def test_every_factory_of_graphs_has_a_case() -> None:
    names = [
        name
        for module in (factory, port_graphs)
        for name, value in vars(module).items()
        if not name.startswith("_")
        and inspect.isfunction(value)
        and value.__module__ == module.__name__
        and value.__annotations__.get("return") is Graph
    ]
    assert names
    assert not [n for n in names if not any(case.startswith(n) for case in cases.CASES)]


def test_every_example_has_a_case() -> None:
    folders = {p.parent.name for p in cases.EXAMPLES.glob("*/*.py")}
    run = {name.split("-")[0] for name in cases.EXAMPLE_CASES}
    assert folders == run | cases.ALIKE.keys()
    assert run >= set(cases.ALIKE.values())
    assert not run & cases.ALIKE.keys()


def test_an_operator_that_it_refuses_is_told_in_its_words() -> None:
    """A FULLY_CONNECTED with int4 weights per channel."""
    graph = fc_graph(np.random.default_rng(0), ("s8",))
    body = parsed(tflite_model(graph, "t"))
    (weight,) = (t for t in body.subgraphs[0].tensors if len(t.shape) == 2 and t.shape[0] == 5)
    weight.type = schema.TensorType.INT4
    (got,) = run_tflm(packed(body), input_rows(np.random.default_rng(0), graph, 1))
    assert "FULLY_CONNECTED" in got.refused
    assert "AllocateTensors failed" in got.refused


def test_one_wrong_weight_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = conv_graph(np.random.default_rng(0))
    node = graph.nodes[0]
    weight = graph.param(node, "weight").copy()
    weight[0, 1, 1, 0] ^= 1
    name = node.params["weight"]
    wrong = graph.with_constants({name: weight}, {name: graph.tensors[name]})
    monkeypatch.setattr(agreement, "tflite_model", lambda _, name: tflite_model(wrong, name))
    with pytest.raises(AssertionError):
        assert_agrees(graph, input_rows(np.random.default_rng(1), graph, 3))


def test_one_wrong_bias_behind_a_layer_norm_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ops that may differ do not excuse the others."""
    graph = fc_graph(np.random.default_rng(0))
    node = graph.nodes[-1]
    bias = graph.param(node, "bias") + 400
    wrong = graph.with_constants({node.params["bias"]: bias})
    monkeypatch.setattr(agreement, "tflite_model", lambda _, name: tflite_model(wrong, name))
    with pytest.raises(AssertionError, match="FullyConnected"):
        assert_agrees(graph, input_rows(np.random.default_rng(1), graph, 3))


@pytest.mark.parametrize("make", [port_graphs.with_delay, port_graphs.two_by_two])
def test_inputs_in_another_order_are_noticed(
    make: Callable[[], Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two inputs of one size, of which each is taken for the other: states, and ports."""
    graph = make()

    def swapped(model: bytes, *inputs: np.ndarray) -> list[TflmRun]:
        return run_tflm(model, *inputs[:-2], inputs[-1], inputs[-2])

    monkeypatch.setattr(agreement, "run_tflm", swapped)
    with pytest.raises(AssertionError):
        assert_agrees(graph, random_rows(graph, 4))


def test_a_state_that_is_not_handed_on_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = port_graphs.with_delay()
    model, x = tflite_model(graph, "t"), random_rows(graph, 3)
    first = agreement.file_inputs(graph, model, x[:1])
    reset = [x, *(np.repeat(rows, 3, axis=0) for rows in first[1:])]
    assert_agrees(graph, x)
    monkeypatch.setattr(agreement, "file_inputs", lambda *_: reset)
    with pytest.raises(AssertionError):
        assert_agrees(graph, x)


def test_rows_of_another_type_are_refused() -> None:
    graph = port_graphs.wide_input()
    with pytest.raises(AssertionError, match="int16"):
        run_tflm(tflite_model(graph, "t"), np.zeros((1, 5), np.int8))


def test_another_expert_that_runs_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose IF enters an expert on both sides: in the trace, where its ops differ."""
    graph = mixture_graph(np.random.default_rng(2), rule="off")
    x = input_rows(np.random.default_rng(5), graph, 6)
    both = with_both_sides_taken(tflite_model(graph, "t"))
    monkeypatch.setattr(agreement, "run_tflm", lambda _, rows: run_tflm(both, rows))
    with pytest.raises(AssertionError):
        assert_agrees(graph, x)


def with_both_sides_taken(model: bytes) -> bytes:
    """The first IF's other side is its expert too."""
    body = parsed(model)
    options = [op.builtinOptions for op in body.subgraphs[0].operators]
    (first, *_) = (o for o in options if isinstance(o, schema.IfOptionsT))
    first.elseSubgraphIndex = first.thenSubgraphIndex
    return packed(body)


def test_the_documented_table_is_the_one_that_is_used() -> None:
    text = (cases.EXAMPLES.parent / "docs" / "numerics.md").read_text()
    table = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", text, re.M))
    assert {name: int(steps) for name, steps in table.items()} == dict(STEPS_APART)
