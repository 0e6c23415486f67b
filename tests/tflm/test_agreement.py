"""Every kind of emitted file in TensorFlow Lite Micro: taken, one path run, the right answers.

On its own input too, where nothing but the benchmark's printed checksums is read.
"""

import re
import zlib

import numpy as np
import pytest

from edgeq.emit.tflite_model import tflite_model
from edgeq.ir import Graph
from edgeq.ir.ports import join, result_tensors
from edgeq.reference import random_rows, run
from tests.factory import input_rows, mixture_graph
from tests.tflm.agreement import assert_agrees
from tests.tflm.cases import CASES, EXAMPLE_CASES, MODELS, from_torch
from tests.tflm.interpreter import own_input, run_tflm

ROWS = 4


def rows_of(graph: Graph, rows: int = ROWS) -> np.ndarray:
    """Extremes, the benchmark's own input, and noise; of other ports than one of int8 noise."""
    if [graph.tensors[name].dtype for name in graph.inputs] != ["int8"]:
        return random_rows(graph, rows, 5)
    x = input_rows(np.random.default_rng(5), graph, rows)
    x[-1] = own_input(x[0].size).reshape(x[0].shape)
    return x


@pytest.mark.parametrize("name", CASES)
def test_a_graph(name: str) -> None:
    graph = CASES[name]()
    assert_agrees(graph, rows_of(graph))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_pytorch(name: str) -> None:
    graph = from_torch(MODELS[name])
    assert_agrees(graph, rows_of(graph))


@pytest.mark.parametrize("name", EXAMPLE_CASES)
def test_an_example(name: str) -> None:
    if name == "digits":
        pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    graph = EXAMPLE_CASES[name]()
    assert_agrees(graph, rows_of(graph, 3))


@pytest.mark.parametrize("name", ["conv_graph-1", "wide_input", "two_by_two"])
def test_the_printed_checksum_alone_is_the_references(name: str) -> None:
    """Nothing is written into its memory, nothing read from it."""
    graph = CASES[name]()
    whole, x, at = own_input(sum(graph.tensors[t].bytes for t in graph.inputs)), [], 0
    for tensor in graph.inputs:
        kind = graph.tensors[tensor]
        x.append(whole[at : at + kind.bytes].view(kind.dtype).reshape(1, *kind.shape))
        at += kind.bytes
    (got,) = run_tflm(tflite_model(graph, "t"), *x)
    values = run(graph, join(graph.inputs, dict(zip(graph.inputs, x, strict=True)))).values
    wanted = [zlib.crc32(values[tensor].tobytes()) for tensor in result_tensors(graph)]
    printed = re.findall(r"Output CRC32: 0x(\w+)", got.text)
    assert [int(crc, 16) for crc in printed] == wanted


def test_routes_are_equal_on_many_rows() -> None:
    """Each rule, 40 rows, every expert taken."""
    for rule in ("precision_prior", "escalation", "off"):
        graph = mixture_graph(np.random.default_rng(2), rule=rule)
        x = input_rows(np.random.default_rng(8), graph, 40)
        routes = [int(got.outputs[1][0]) for got in run_tflm(tflite_model(graph, "t"), x)]
        assert routes == run(graph, x).route.tolist()
        assert len(set(routes)) == 3


def test_more_experts_do_not_hold_more_copies_of_their_input() -> None:
    """Nested IFs did: one a level."""
    arenas = []
    for formats in (("s8",) * 2, ("s8",) * 6):
        graph = mixture_graph(np.random.default_rng(0), rule="off", formats=formats, features=3000)
        (got,) = run_tflm(tflite_model(graph, "t"), input_rows(np.random.default_rng(1), graph, 1))
        arenas.append(got.arena["NonPersistent"])
    assert arenas[1] - arenas[0] < 3000, arenas
