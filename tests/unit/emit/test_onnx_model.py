"""The ONNX form against the reference: each layer, whole models, the branches that run."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import pytest
from onnx import GraphProto, TensorProto, helper

from edgeq.emit.onnx_check import OnnxRun, onnx_session, run_onnx
from edgeq.emit.onnx_model import onnx_model
from edgeq.ir import Graph, Quant
from edgeq.ops import OPS, mixture
from edgeq.ops.fixed_point import quantize_multipliers
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.op import Array, quant_of
from edgeq.ops.router import SCORE_BITS
from edgeq.reference import io_of, run
from tests.factory import GraphBuilder, conv_graph, fc_graph, input_rows, mixture_graph

MIXTURES: dict[str, dict[str, Any]] = {
    "precision_prior": {},
    "escalation": {"rule": "escalation"},
    "off": {"rule": "off"},
    "plain": {"kind": "plain", "rule": "off"},
    "gate": {"gate": "probability"},
    "top_2": {"gate": "probability", "top_k": 2},
    "top_2_ungated": {"top_k": 2},
    "fc_trunk": {"trunk": "fc"},
    "one_expert": {"formats": ("s8",)},
    "two_router_layers": {"router_layers": 2},
    "wide_formats": {"formats": ("s16", "b1", "s2", "s3")},
}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def real(graph: Graph, x: Array, tensor: str | None = None) -> Array:
    """int8 rows as the floats that quantise back to them."""
    quant = quant_of(graph.tensors[tensor or graph.inputs[0]])
    return ((x.astype(np.float64) - quant.zero_point) * quant.per_tensor).astype(np.float32)


def steps(graph: Graph, logits: Array) -> Array:
    """Float logits as int8 output steps."""
    quant = quant_of(graph.tensors[graph.outputs[0]])
    return np.round(logits / quant.per_tensor).astype(int) + quant.zero_point


def emitted(graph: Graph, x: Array) -> OnnxRun:
    return run_onnx(onnx_model(graph, "test").SerializeToString(), real(graph, x))


def int8_values(graph: Graph, x: Array) -> dict[str, Array]:
    """Every int8 activation outside a mixture, as onnxruntime has it, channels-last."""
    model = onnx_model(graph, "test")
    nodes = [node for node in graph.nodes if node.op != "Mixture"]
    names = [o for node in nodes for o in node.outputs] + [graph.inputs[0]]
    for name in names:
        info = helper.make_tensor_value_info(f"{name}.int8", TensorProto.INT8, None)
        model.graph.output.append(info)
    rows = real(graph, x)
    rows = np.ascontiguousarray(rows.transpose(0, 3, 1, 2) if rows.ndim == 4 else rows)
    session, wanted = onnx_session(model.SerializeToString()), [f"{n}.int8" for n in names]
    single = len(nodes) < len(graph.nodes)  # a mixture runs one row at a time
    batches = np.split(rows, len(rows)) if single else [rows]
    columns = zip(*(session.run(wanted, {"input": batch}) for batch in batches), strict=True)
    found = [np.concatenate(column) for column in columns]
    return {
        name: value.transpose(0, 2, 3, 1) if value.ndim == 4 else value
        for name, value in zip(names, found, strict=True)
    }


def expert_graph(r: np.random.Generator, e: int) -> Graph:
    graph: Graph = mixture_graph(r, **MIXTURES["wide_formats"]).nodes[-1].attrs.experts[e].graph
    return graph


def mean_pool_graph(r: np.random.Generator) -> Graph:
    build = GraphBuilder(r, "pools", random_codes(r, (9, 7, 3)), Quant((0.02,), 5))
    build.conv(4, (3, 3), "s8", "relu", padding=(1, 1, 1, 1))
    build.mean_pool((3, 2), (2, 1), (1, 0, 1, 1))
    build.mean_pool((2, 2), (1, 2), activation="relu")
    return build.graph()


def small_norm_graph(r: np.random.Generator) -> Graph:
    """A norm of rows so small that epsilon counts beside their variance."""
    build = GraphBuilder(r, "norm", random_codes(r, (13,)), Quant((1e-4,), 2))
    build.layer_norm()
    return build.graph()


def random_codes(r: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return r.integers(-128, 128, (40, *shape)).astype(np.int8)


GRAPHS: dict[str, Callable[[np.random.Generator], Graph]] = {
    "fc": lambda r: fc_graph(r, ("s8", "t2", "s4"), softmax=True),
    "fc_formats": lambda r: fc_graph(r, ("s16", "s3", "s2", "b1", "s4", "s8")),
    "expert_s16": lambda r: expert_graph(r, 0),
    "expert_s3": lambda r: expert_graph(r, 3),
    "conv": conv_graph,
    "mean_pool": mean_pool_graph,
    "small_norm": small_norm_graph,
    "conv_low": lambda r: conv_graph(r, ("s4", "t2", "s8"), shape=(8, 9, 2), channels=5),
}


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("seed", range(3))
def test_each_layer_is_within_one_step(name: str, seed: int) -> None:
    """The stated bound: the reference on onnxruntime's own layer inputs differs by at most 1."""
    graph = GRAPHS[name](rng(seed))
    x = input_rows(rng(seed + 100), graph, 60)
    values = int8_values(graph, x)
    assert (values[graph.inputs[0]] == x).all()
    for node in graph.nodes:
        inputs = tuple(values[n] for n in node.inputs)
        want = (
            OPS[node.op]
            .reference(node.attrs, io_of(graph, node), inputs, graph.params(node))
            .astype(int)
        )
        off = np.abs(values[node.outputs[0]] - want)
        assert off.max() <= 1, node.name
        if node.op in ("MaxPool2D", "Relu", "Reshape"):
            assert off.max() == 0, node.name


@pytest.mark.parametrize("name", MIXTURES)
def test_mixture_agrees_with_the_reference(name: str) -> None:
    """Random experts on noise lead by a hair, so top-1 counts where the lead exceeds 3 steps."""
    same_route, same_top, led = [], [], []
    for seed in range(3):
        graph = mixture_graph(rng(seed), **MIXTURES[name])
        x = input_rows(rng(seed + 50), graph, 200)
        got, want = emitted(graph, x), run(graph, x)
        same = got.route == want.route
        assert np.median(np.abs(got.uncertainty - want.uncertainty / 2**24)) < 0.01
        ordered = np.sort(want.output.astype(int), axis=1)
        led.append(ordered[:, -1] - ordered[:, -2] > 3)
        same_route.append(same)
        same_top.append(steps(graph, got.output).argmax(1) == want.output.argmax(1))
    top = np.concatenate(same_top)[np.concatenate(led)]
    print(name, "route", np.mean(same_route), "top-1", top.mean(), "of all", np.mean(same_top))
    assert np.mean(same_route) >= 0.99
    assert len(top) > 300
    assert top.mean() >= 0.99


def test_branch_equals_the_expert_alone() -> None:
    """So the bound of a layer, proven on plain graphs, holds inside a branch."""
    graph = mixture_graph(rng(), **MIXTURES["wide_formats"])
    x = input_rows(rng(50), graph, 200)
    got = emitted(graph, x)
    assert set(got.route) == {0, 1, 2, 3}
    for e, expert in enumerate(graph.nodes[-1].attrs.experts):
        rows = got.route == e
        assert (got.output[rows] == emitted(expert.graph, x[rows]).output).all()


@pytest.mark.parametrize("rule", ["precision_prior", "escalation"])
def test_mixture_behind_convolutions_agrees_on_equal_features(rule: str) -> None:
    """Route and output as the reference gives them from the features that onnxruntime found.

    From the input on, layers of few channels multiply by nearly one half, where rounding twice and
    rounding once part most often; then noise moves 1 route in 20 at most.
    """
    on_features, end_to_end, off = [], [], []
    for seed in range(3):
        graph = mixture_graph(rng(seed), trunk="conv", rule=rule)
        x, node = input_rows(rng(seed + 50), graph, 120), graph.nodes[-1]
        values = int8_values(graph, x)
        features = tuple(values[n] for n in node.inputs)
        want = mixture.reference(
            node.attrs,
            io_of(graph, node),
            features,
            graph.params(node),
            lambda g, v: run(g, v).output,
        )
        got = emitted(graph, x)
        same = got.route == want.chosen[:, 0]
        on_features.append(same)
        off.append(np.abs(steps(graph, got.output) - want.output)[same].ravel())
        end_to_end.append(got.route == run(graph, x).route)
    print("on features", np.mean(on_features), "end to end", np.mean(end_to_end))
    assert np.mean(on_features) >= 0.99
    assert np.quantile(np.concatenate(off), 0.99) <= 2
    assert np.mean(end_to_end) >= 0.95


def classifier() -> tuple[Graph, Array, Array]:
    """Random features under a fitted head, for ten noisy prototypes: (graph, rows, labels)."""
    labels = rng(8).integers(0, 10, 1600)
    clean = rng(9).normal(0, 40, (10, 64))[labels]
    rows = np.clip(clean + rng(10).normal(0, 60, clean.shape), -128, 127).astype(np.int8)
    build = GraphBuilder(rng(1), "prototypes", rows, Quant((0.02,), 0))
    build.fully_connected(200, "s4", "relu")
    build.fully_connected(150, "t2", "relu")
    quant = build.quant()
    hidden = (build.values[build.last].astype(float) - quant.zero_point) * quant.per_tensor
    x, y = hidden[:1200], np.eye(10)[labels[:1200]] * 2 - 1
    mean = x.mean(0)
    gram = (x - mean).T @ (x - mean) + 3.0 * np.eye(x.shape[1])
    weight = np.linalg.solve(gram, (x - mean).T @ (y - y.mean(0))).T
    scale = np.abs(weight).max(1) / 127
    bias = (y.mean(0) - weight @ mean) / (quant.per_tensor * scale)
    out = Quant((2.5 / 127,), 0)
    multiplier, shift = quantize_multipliers(quant.per_tensor * scale / out.per_tensor)
    params = {
        "weight": np.round(weight / scale[:, None]).astype(np.int8),
        "bias": np.round(bias).astype(np.int32),
        "multiplier": multiplier,
        "shift": shift,
    }
    kind = Quant(tuple(float(s) for s in scale), 0, 0)
    build._append("FullyConnected", (build.last,), FullyConnected("s8"), params, out, kind)
    return build.graph(), rows[1200:], labels[1200:]


def test_meaningful_classifier_agrees_in_top_1() -> None:
    graph, x, labels = classifier()
    want, got = run(graph, x).output, steps(graph, emitted(graph, x).output)
    agree = (want.argmax(1) == got.argmax(1)).mean()
    print("accuracy", (want.argmax(1) == labels).mean(), "agreement", agree)
    assert (want.argmax(1) == labels).mean() > 0.9
    assert (want.argmax(1) == got.argmax(1)).mean() >= 0.99


def subgraphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from subgraphs(attribute.g)


@pytest.mark.parametrize("options", ["off", "top_2"])
def test_only_chosen_branches_run(options: str, tmp_path: Path) -> None:
    """onnxruntime's own profile names no node of an expert that was not chosen."""
    graph = mixture_graph(rng(2), **MIXTURES[options])
    x = input_rows(rng(3), graph, 40)
    chosen = run(graph, x).chosen
    model = onnx_model(graph, "test").SerializeToString()
    seen = set()
    for row, experts in list(zip(x, chosen, strict=True))[:12]:
        session = onnx_session(model, str(tmp_path / "profile"))
        session.run(None, {"input": real(graph, row[None])})
        events = json.loads(Path(session.end_profiling()).read_text())
        names = [e["name"] for e in events if ".expert." in e["name"]]
        assert {int(n.split(".expert.")[1].split(".")[0]) for n in names} == set(experts.tolist())
        seen.update(experts.tolist())
    assert len(seen) > 1


def test_poison_in_a_branch_hurts_only_its_own_rows() -> None:
    """A NaN scale in expert 1 reaches exactly the rows routed to expert 1."""
    graph = mixture_graph(rng(2), rule="off")
    x = input_rows(rng(3), graph, 60)
    model = onnx_model(graph, "test")
    for inner in subgraphs(model.graph):
        for tensor in inner.initializer:
            if ".expert.1." in tensor.name and tensor.name.endswith(".out.scale"):
                tensor.raw_data = np.float32(np.nan).tobytes()
    got = run_onnx(model.SerializeToString(), real(graph, x))
    assert set(got.route) == {0, 1, 2}
    assert (np.isnan(got.output).any(axis=1) == (got.route == 1)).all()


def with_prior(graph: Graph, **values: int) -> Graph:
    """The mixture's rule constants replaced, experts' priors kept unless named."""
    node = graph.nodes[-1]
    changed = {}
    for role, value in values.items():
        old = graph.param(node, f"router.{role}")
        changed[node.params[f"router.{role}"]] = np.full_like(old, value)
    return graph.with_constants(changed)


def test_ties_go_to_the_lower_index() -> None:
    """Equal router logits for every row, and no curiosity: always expert 0."""
    graph = with_prior(mixture_graph(rng(4)), prior=0)
    node = graph.nodes[-1]
    flat = {
        node.params[f"router.2.{role}"]: np.zeros_like(graph.param(node, f"router.2.{role}"))
        for role in ("weight", "bias", "bias.dropped")
    }
    graph = graph.with_constants(flat)
    x = input_rows(rng(5), graph, 20)
    got = emitted(graph, x)
    assert (got.route == 0).all()
    assert (got.uncertainty == 0).all()
    assert (run(graph, x).route == 0).all()


@pytest.mark.parametrize(("threshold", "escalated"), [(-1, True), (0, False), (1, False)])
def test_escalation_compares_exact_integers(threshold: int, escalated: bool) -> None:
    """A router whose passes all agree has U = 0 exactly: above -1, not above 0."""
    graph = with_prior(mixture_graph(rng(4), rule="escalation"), threshold=threshold)
    node = graph.nodes[-1]
    name = node.params["router.2.weight"]
    graph = graph.with_constants({name: np.zeros_like(graph.constants[name])})
    x = input_rows(rng(5), graph, 10)
    got = emitted(graph, x)
    assert (got.route == run(graph, x).route).all()
    assert not escalated or (got.route == node.attrs.most_precise).all()


def test_large_prior_sends_uncertain_rows_to_the_most_precise_expert() -> None:
    graph = mixture_graph(rng(6))
    node = graph.nodes[-1]
    prior = np.array([0, 0, 1 << 30], np.int64)
    graph = with_prior(graph, u_min=0, u_max=1 << 30).with_constants(
        {node.params["router.prior"]: prior}
    )
    x = input_rows(rng(7), graph, 150)
    want = run(graph, x)
    assert (want.numerator * prior[2] > 1 << (SCORE_BITS + 8)).any()
    assert (emitted(graph, x).route == want.route).mean() >= 0.99
