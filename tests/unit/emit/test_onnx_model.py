"""The ONNX form against the reference: each layer, whole models, the branches that run."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import pytest
from onnx import GraphProto, TensorProto, helper

from edgeq.emit.onnx_builder import pack_int4
from edgeq.emit.onnx_check import OnnxRun, onnx_session, run_onnx
from edgeq.emit.onnx_model import onnx_model
from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ops import OPS, mixture
from edgeq.ops.batch_norm import BatchNorm
from edgeq.ops.fixed_point import quantize_multipliers
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.op import Array, quant_of
from edgeq.ops.router import SCORE_BITS
from edgeq.reference import io_of, run
from tests.factory import GraphBuilder, conv_graph, fc_graph, input_rows, mixture_graph
from tests.hang import HANG_S

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


GRAPHS: dict[str, Callable[[np.random.Generator], Graph]] = {
    "fc": lambda r: fc_graph(r, ("s8", "t2", "s4"), softmax=True),
    "fc_formats": lambda r: fc_graph(r, ("s16", "s3", "s2", "b1", "s4", "s8")),
    "expert_s16": lambda r: expert_graph(r, 0),
    "expert_s3": lambda r: expert_graph(r, 3),
    "conv": conv_graph,
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


def initializers(model: onnx.ModelProto) -> dict[str, TensorProto]:
    return {t.name: t for g in subgraphs(model.graph) for t in g.initializer}


@pytest.mark.parametrize("fmt", ["s4", "s3", "s2", "t2", "b1"])
def test_low_bit_weights_are_packed_two_to_a_byte(fmt: str) -> None:
    graph = fc_graph(rng(), (fmt, "s8", "s16"))
    found = initializers(onnx_model(graph, "test"))
    for node, container, bits in zip(
        [n for n in graph.nodes if n.op == "FullyConnected"],
        (TensorProto.INT4, TensorProto.INT8, TensorProto.INT16),
        (4, 8, 16),
        strict=True,
    ):
        tensor, codes = found[f"{node.name}.weight"], graph.param(node, "weight")
        assert tensor.data_type == container
        assert len(tensor.raw_data) == (codes.size * bits + 7) // 8
        assert (onnx.numpy_helper.to_array(tensor).astype(int) == codes).all()


def test_pack_int4_is_low_nibble_first() -> None:
    assert pack_int4(np.array([[1, -2], [7, -8], [3, 0]])[:, :1].copy()) == bytes([0x71, 0x03])
    assert pack_int4(np.array([1, -2])) == bytes([0xE1])


def test_map_input_is_nchw_and_batch_is_free_only_without_a_mixture() -> None:
    def dims(model: onnx.ModelProto) -> list[Any]:
        shape = model.graph.input[0].type.tensor_type.shape
        return [d.dim_param or d.dim_value for d in shape.dim]

    assert dims(onnx_model(conv_graph(rng(), shape=(9, 7, 3)), "test")) == ["N", 3, 9, 7]
    model = onnx_model(mixture_graph(rng(), trunk="conv"), "test")
    assert dims(model) == [1, 2, 8, 6]
    assert [o.name for o in model.graph.output] == ["logits", "route", "uncertainty"]


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


def test_names_the_producer_and_the_model() -> None:
    model = onnx_model(fc_graph(rng()), "little", model_digest="abc123")
    assert (model.producer_name, model.graph.name) == ("edgeq", "little")
    assert {p.key: p.value for p in model.metadata_props} == {"edgeq.model_digest": "abc123"}
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 21)]


SCRIPT = """
import hashlib, numpy
from edgeq.emit.onnx_model import onnx_model
from tests.factory import mixture_graph
graph = mixture_graph(numpy.random.default_rng(0), trunk="conv")
print(hashlib.sha256(onnx_model(graph, "test", "d").SerializeToString()).hexdigest())
"""


@pytest.mark.full
def test_bytes_do_not_depend_on_the_hash_seed() -> None:
    graph = mixture_graph(rng(0), trunk="conv")
    here = hashlib.sha256(onnx_model(graph, "test", "d").SerializeToString()).hexdigest()
    root = Path(__file__).parents[3]
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=root, env=env, capture_output=True, text=True, timeout=HANG_S, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == here


def test_unsupported_ops_are_all_named_with_their_nodes() -> None:
    kind = TensorType((4,), "int8", Quant((0.1,)))
    nodes = tuple(
        Node(f"norm_{i}", "BatchNorm", (f"t{i}",), (f"t{i + 1}",), BatchNorm()) for i in range(2)
    )
    graph = Graph("bad", ("t0",), ("t2",), nodes, {f"t{i}": kind for i in range(3)}, {})
    with pytest.raises(UnsupportedOp, match=r"BatchNorm \(norm_0\), BatchNorm \(norm_1\)"):
        onnx_model(graph, "test")


def test_unsupported_op_inside_an_expert_is_named() -> None:
    graph = mixture_graph(rng())
    (node,) = graph.nodes
    first = node.attrs.experts[0]
    bad = Node("odd", "BatchNorm", first.graph.outputs, ("odd.out",), BatchNorm())
    experts = (
        replace(first, graph=first.graph.with_nodes((*first.graph.nodes, bad))),
        *node.attrs.experts[1:],
    )
    poisoned = graph.with_nodes([replace(node, attrs=replace(node.attrs, experts=experts))])
    with pytest.raises(UnsupportedOp, match=r"BatchNorm \(odd\)"):
        onnx_model(poisoned, "test")
