"""What is exported as ONNX comes back: the same integers, or a step beside them."""

from typing import Any

import numpy as np
import pytest

from edgeq.emit.onnx_model import onnx_model
from edgeq.frontend.onnx_file import parse
from edgeq.frontend.onnx_loader import Imported, imported
from edgeq.ir import Graph
from edgeq.ops.op import quant_of
from edgeq.passes import quantize
from edgeq.reference import quantize_rows, run
from tests import factory
from tests.numeric_cases import NUMERIC_CASES
from tests.shape_cases import SHAPE_CASES
from tests.unit.frontend.test_onnx_loader import HERE

Array = np.ndarray[Any, Any]
NETS = {
    "dense": lambda: factory.fc_graph(np.random.default_rng(0), ("s8", "t2", "s4")),
    "softmax": lambda: factory.fc_graph(np.random.default_rng(1), softmax=True),
    "convolutions": lambda: factory.conv_graph(np.random.default_rng(0)),
}
# norms that are written as means, roots and a quotient
UNREAD = ("norm of rows of maps", "rms norm", "rms norm of features")
MADE = {**NETS, **SHAPE_CASES, **{n: m for n, m in NUMERIC_CASES.items() if n not in UNREAD}}


def back(graph: Graph) -> Imported:
    return imported(parse(onnx_model(graph, "net").SerializeToString(), HERE), "net")


def both(graph: Graph, found: Imported) -> tuple[Array, Array]:
    """(the graph's answers, those of what came back), in the order of the file's axes."""
    x = factory.input_rows(np.random.default_rng(2), graph, 6)
    quant = quant_of(graph.tensors[graph.inputs[0]])
    rows = ((x.astype(float) - quant.zero_point) * quant.per_tensor).astype(np.float32)
    wanted = run(graph, x).output
    if found.layout != "channels first":
        rows, wanted = (v.transpose(0, 3, 1, 2) if v.ndim == 4 else v for v in (rows, wanted))
    again = quantize(found.graph, rows, "minmax").graph
    got = run(again, quantize_rows(again, rows)).output
    return wanted, got.reshape(wanted.shape)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.full] if i % 3 else []) for i, n in enumerate(MADE)]
)
def test_an_exported_file_comes_back(name: str) -> None:
    graph = MADE[name]()
    found = back(graph)
    wanted, got = both(graph, found)
    assert np.abs(got.astype(int) - wanted).max() <= 1
    given, made = (quant_of(g.tensors[g.outputs[0]]) for g in (graph, found.graph))
    assert made.zero_point == given.zero_point
    assert made.per_tensor == np.float32(given.per_tensor)


def test_narrow_weights_keep_their_codes() -> None:
    graph = NETS["dense"]()
    found = back(graph).graph
    both = [[n for n in g.nodes if "weight" in n.params] for g in (graph, found)]
    assert [n.attrs.weight_format for n in both[0]] == ["s8", "t2", "s4"]
    assert [n.attrs.weight_format for n in both[1]] == ["s8", "s4", "s4"]  # ONNX has no ternary
    for mine, theirs in zip(*both, strict=True):
        np.testing.assert_array_equal(found.param(theirs, "weight"), graph.param(mine, "weight"))
