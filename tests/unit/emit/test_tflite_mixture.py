"""Mixtures in TensorFlow Lite: route, uncertainty, gates, and that only the chosen branch runs."""

from dataclasses import replace
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeq.emit.tflite_check import assert_tflm_dtypes, ops_used, run_tflite
from edgeq.emit.tflite_model import tflite_model
from edgeq.ir import Graph
from edgeq.ops.op import Array
from edgeq.reference import Answered, run
from tests.factory import input_rows, mixture_graph
from tests.tflm.agreement import assert_agrees
from tests.tflm.interpreter import tflm_is_here

ROWS = 250


def rows_of(graph: Graph, rows: int = ROWS) -> Array:
    return input_rows(np.random.default_rng(5), graph, rows)


def parsed(model: bytes) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))


def packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def check(graph: Graph, largest: int) -> Answered:
    """Routes and top-1 agree on 99 %; on agreeing routes logits differ by `largest` at most."""
    x = rows_of(graph)
    model = tflite_model(graph, "t")
    assert_tflm_dtypes(model)
    if tflm_is_here():
        assert_agrees(graph, x[:3])
    assert "CUSTOM" not in ops_used(model)
    wanted, got = run(graph, x), run_tflite(model, x)
    same = got.route == wanted.route
    assert same.mean() >= 0.99
    assert (got.logits.argmax(1) == wanted.output.argmax(1)).mean() >= 0.99
    assert np.abs(got.logits.astype(int) - wanted.output)[same].max() <= largest
    return wanted


@pytest.mark.parametrize("rule", ["precision_prior", "escalation", "off"])
@pytest.mark.parametrize("seed", [0, 2])
def test_route_and_top1_agree(rule: str, seed: int) -> None:
    wanted = check(mixture_graph(np.random.default_rng(seed), rule=rule), largest=2)
    assert len(set(wanted.route.tolist())) == 3  # all three experts are taken


@pytest.mark.parametrize("experts", [("s4",), ("t2", "s8"), ("b1", "s2", "s3", "s8")])
def test_other_numbers_of_experts(experts: tuple[str, ...]) -> None:
    check(mixture_graph(np.random.default_rng(2), rule="off", formats=experts), largest=2)


def test_a_mixture_behind_a_convolutional_trunk() -> None:
    check(mixture_graph(np.random.default_rng(1), trunk="conv"), largest=5)


def test_a_plain_router_has_no_uncertainty() -> None:
    graph = mixture_graph(np.random.default_rng(2), kind="plain", rule="off")
    check(graph, largest=2)
    got = run_tflite(tflite_model(graph, "t"), rows_of(graph, 4))
    assert got.uncertainty_scale == 0.0
    assert not got.uncertainty.any()


@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_gated_experts(top_k: int) -> None:
    graph = mixture_graph(np.random.default_rng(1), gate="probability", top_k=top_k)
    # one LSB of a router logit moves a gate by up to a quarter of the logit's scale
    check(graph, largest=5)


def test_uncertainty_is_the_reference_to_one_percent_of_its_range() -> None:
    graph = mixture_graph(np.random.default_rng(0), rule="off", passes=10)
    x = rows_of(graph)
    got, wanted = run_tflite(tflite_model(graph, "t"), x), run(graph, x)
    u = got.uncertainty * got.uncertainty_scale
    assert np.abs(u - wanted.uncertainty / 2**24).max() <= 0.01


def test_curiosity_changes_routes_in_the_file_as_in_the_reference() -> None:
    """The rule must act, else agreement would prove nothing about it."""
    for rule in ("precision_prior", "escalation"):
        graph = mixture_graph(np.random.default_rng(1), rule=rule)
        plain = mixture_graph(np.random.default_rng(1), rule="off")
        x = rows_of(graph)
        moved = run(graph, x).route != run(plain, x).route
        assert moved.sum() >= 3
        got = run_tflite(tflite_model(graph, "t"), x[moved])
        assert (got.route == run(graph, x[moved]).route).mean() >= 0.9


def test_ties_go_to_the_lower_index() -> None:
    """A router whose last layer is zero makes all logits equal."""
    graph = mixture_graph(np.random.default_rng(0), rule="off")
    params = graph.nodes[-1].params
    roles = [r for r in params if r.startswith("router.2.") and ("weight" in r or "bias" in r)]
    graph = graph.with_constants(
        {params[r]: np.zeros_like(graph.constants[params[r]]) for r in roles}
    )
    assert not run(graph, rows_of(graph, 20)).route.any()
    assert not run_tflite(tflite_model(graph, "t"), rows_of(graph, 20)).route.any()
    best_two = mixture_graph(np.random.default_rng(0), rule="off", gate="probability", top_k=2)
    best_two = best_two.with_constants(
        {best_two.nodes[-1].params[r]: np.zeros_like(graph.constants[params[r]]) for r in roles}
    )
    x = rows_of(best_two, 20)
    d = run_tflite(tflite_model(best_two, "t"), x).logits.astype(int) - run(best_two, x).output
    assert np.abs(d).max() <= 3


def test_only_the_chosen_branch_runs() -> None:
    """Each expert in turn is poisoned with an operator that fails when it is executed.

    The file loads, rows of other routes answer as before, and only rows routed to it fail.
    """
    graph = mixture_graph(np.random.default_rng(2), rule="off")
    graph = with_named_experts(graph)
    x, model = rows_of(graph, 60), tflite_model(graph, "t")
    clean = run_tflite(model, x)
    for e in range(3):
        poisoned = poison(model, f"expert{e}")
        mine, others = x[clean.route == e], x[clean.route != e]
        assert len(mine)
        got = run_tflite(poisoned, others)
        assert np.array_equal(got.logits, clean.logits[clean.route != e])
        with pytest.raises((RuntimeError, ValueError)):
            run_tflite(poisoned, mine[:1])


def with_named_experts(graph: Graph) -> Graph:
    node = graph.nodes[-1]
    experts = tuple(replace(e, name=f"expert{i}") for i, e in enumerate(node.attrs.experts))
    attrs = replace(node.attrs, experts=experts)
    return graph.with_nodes([*graph.nodes[:-1], replace(node, attrs=attrs)])


def poison(data: bytes, subgraph: str) -> bytes:
    """Appends a GATHER whose index is a run-time value out of range: it fails when executed."""
    model = parsed(data)
    for b in model.buffers:
        b.data = None if b.data is None else np.asarray(b.data, dtype=np.uint8)
    (body,) = (s for s in model.subgraphs if s.name.decode() == subgraph)
    code = schema.BuiltinOperator.GATHER
    model.operatorCodes.append(
        schema.OperatorCodeT(deprecatedBuiltinCode=code, version=2, builtinCode=code)
    )
    model.buffers.append(schema.BufferT(data=np.array([9999], np.int32).view(np.uint8)))
    index = schema.TensorT(shape=[1], type=schema.TensorType.INT32, name="poison")
    index.buffer = len(model.buffers) - 1
    source = body.tensors[body.inputs[0]]
    result = schema.TensorT(
        shape=[1, *list(source.shape)[1:]],
        type=source.type,
        name="poisoned",
        quantization=source.quantization,
    )
    body.tensors += [index, result]
    body.operators.append(
        schema.OperatorT(
            opcodeIndex=len(model.operatorCodes) - 1,
            inputs=[body.inputs[0], len(body.tensors) - 2],
            outputs=[len(body.tensors) - 1],
            builtinOptionsType=schema.BuiltinOptions.GatherOptions,
            builtinOptions=schema.GatherOptionsT(axis=0),
        )
    )
    return packed(model)
