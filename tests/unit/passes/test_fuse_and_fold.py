"""BatchNorm and ReLU vanish into the layer before them, unless someone else reads it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ops.batch_norm import BatchNorm
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.op import Array
from edgeq.ops.relu import Relu
from edgeq.passes.float_forward import run_float
from edgeq.passes.fold_batch_norm import fold_batch_norm
from edgeq.passes.fuse_activation import fuse_activation

RNG = np.random.default_rng(4)
X = RNG.normal(size=(20, 3)).astype(np.float32)


def chain(codes: bool = False, gain: Any = (0.5, -2.0, 0.0, 3.0)) -> Graph:
    """input - FullyConnected - BatchNorm - Relu, float weights or 8-bit codes."""
    constants: dict[str, Array] = {
        "w": RNG.integers(-127, 128, (4, 3)).astype(np.int8 if codes else np.float32),
        "b": RNG.normal(size=4).astype(np.float32),
        "gain": np.array(gain, np.float32),
        "offset": RNG.normal(size=4).astype(np.float32),
    }
    tensors = {k: TensorType(v.shape, str(v.dtype)) for k, v in constants.items()}
    if codes:
        tensors["w"] = replace(tensors["w"], quant=Quant((0.01,)))
    tensors |= {"x": TensorType((3,)), **dict.fromkeys(("y", "n", "r"), TensorType((4,)))}
    nodes = (
        Node(
            "fc",
            "FullyConnected",
            ("x",),
            ("y",),
            FullyConnected("s8", "none"),
            {"weight": "w", "bias": "b"},
        ),
        Node("bn", "BatchNorm", ("y",), ("n",), BatchNorm(), {"gain": "gain", "offset": "offset"}),
        Node("relu", "Relu", ("n",), ("r",), Relu("relu")),
    )
    return Graph("chain", ("x",), ("r",), nodes, tensors, constants)


def answers(graph: Graph, name: str) -> Array:
    return run_float(graph, X).values[name]


@pytest.mark.parametrize("codes", [False, True])
def test_both_vanish_and_the_answers_stay(codes: bool) -> None:
    graph = chain(codes)
    fused = fuse_activation(fold_batch_norm(graph))
    assert [(n.op, n.attrs.activation, n.outputs) for n in fused.nodes] == [
        ("FullyConnected", "relu", ("r",))
    ]
    assert {"gain", "offset", "y", "n"}.isdisjoint({*fused.tensors, *fused.constants})
    np.testing.assert_allclose(answers(fused, "r"), answers(graph, "r"), rtol=1e-4, atol=1e-5)


def test_a_layer_that_the_graph_also_returns_keeps_its_relu() -> None:
    graph = fold_batch_norm(chain())
    returned = replace(graph, outputs=("n", "r"))
    assert [n.op for n in fuse_activation(returned).nodes] == ["FullyConnected", "Relu"]


def test_a_layer_that_another_node_reads_keeps_its_relu() -> None:
    graph = fold_batch_norm(chain())
    twin = Node("twin", "Relu", ("n",), ("t",), Relu("relu6"))
    twice = graph.with_nodes([*graph.nodes, twin]).with_tensors({"t": TensorType((4,))})
    assert len(fuse_activation(replace(twice, outputs=("r", "t"))).nodes) == 3


def test_a_batch_norm_with_nothing_to_fold_into_is_refused() -> None:
    graph = chain()
    with pytest.raises(UnsupportedOp, match=r"'bn': its layer's output is used elsewhere"):
        fold_batch_norm(replace(graph, outputs=("y", "r")))
    alone = replace(graph.nodes[1], inputs=("x",), outputs=("n",))
    bare = graph.with_nodes([alone])
    with pytest.raises(UnsupportedOp, match=r"'bn' follows the input"):
        fold_batch_norm(replace(bare, outputs=("n",)))
