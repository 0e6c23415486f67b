"""The ONNX file: its containers, names and shapes, and what it refuses."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import pytest
from onnx import TensorProto

from edgeq.emit.onnx_builder import pack_int4
from edgeq.emit.onnx_model import onnx_model
from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ops.batch_norm import BatchNorm
from tests.factory import conv_graph, fc_graph, mixture_graph
from tests.hang import HANG_S
from tests.unit.emit.test_onnx_model import rng, subgraphs


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
