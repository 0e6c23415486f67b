"""Ports: names and bytes of several inputs and outputs, and what verify refuses of them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import EdgeqError, UnsupportedOp
from edgeq.ir import Graph
from edgeq.ir.ports import input_names, inputs_of, join, outputs_of, port_name, split, why_no_name
from edgeq.memory import plan_memory
from edgeq.ops.graph_file import read_graph, write_graph
from edgeq.ops.op import Array
from edgeq.passes.stored_graph import stored_graph
from edgeq.passes.verify import verify
from edgeq.ports import Port, Ports
from edgeq.reference import quantize_rows, random_rows, real_inputs, real_outputs, run
from tests.factory import smallest_mixture
from tests.port_graphs import two_by_two, two_inputs

sizes = st.lists(st.tuples(st.sampled_from(("int8", "int16")), st.integers(1, 9)), min_size=1)


@given(sizes, st.randoms(use_true_random=False))
def test_bytes_come_back_as_the_values_they_were(
    shapes: list[tuple[str, int]], rng: object
) -> None:
    ports = Ports(tuple(Port(f"p{i}", dtype, n) for i, (dtype, n) in enumerate(shapes)))
    generator = np.random.default_rng(rng.randrange(2**32))  # type: ignore[attr-defined]
    parts = [
        generator.integers(np.iinfo(d).min, np.iinfo(d).max, n, dtype=d, endpoint=True)
        for d, n in shapes
    ]
    codes = np.concatenate([part.astype(ports.dtype) for part in parts])
    data = ports.pack(codes)
    assert len(data) == ports.extent
    np.testing.assert_array_equal(ports.unpack(data), codes)
    for part, at in zip(parts, ports.offsets, strict=True):
        assert at % part.itemsize == 0
        assert data[at : at + part.nbytes] == part.astype(part.dtype.newbyteorder("<")).tobytes()


def test_a_plain_row_is_its_own_bytes() -> None:
    ports = Ports((Port("input", "int8", 5),))
    row = np.array([-128, -1, 0, 1, 127], np.int8)
    assert ports.pack(row) == row.tobytes()


@given(st.text(max_size=60))
def test_any_text_becomes_a_name(text: str) -> None:
    name = port_name(text)
    assert not why_no_name(name)
    assert port_name(name) == name


def test_names_come_from_the_graph_or_its_tensors() -> None:
    graph = two_by_two()
    assert [p.name for p in inputs_of(graph).ports] == ["left", "right"]
    assert [p.size for p in outputs_of(graph).ports] == [4, 7]
    bare = replace(graph, input_names=(), output_names=())
    assert input_names(bare) == ("input", "right")
    assert input_names(two_inputs()) == ("left", "right")
    mixed = smallest_mixture()
    assert [(p.name, p.size) for p in outputs_of(mixed).ports] == [("output", 3)]


@given(st.integers(0, 5), st.integers(1, 6))
def test_rows_of_several_ports(seed: int, count: int) -> None:
    """Split and joined again; each port has its own scale; the answer is each tensor's."""
    graph = two_by_two(seed)
    rows = random_rows(graph, count, seed)
    parts = split(graph, rows)
    np.testing.assert_array_equal(join(graph.inputs, parts), rows)
    np.testing.assert_array_equal(quantize_rows(graph, real_inputs(graph, rows)), rows)
    ran = run(graph, rows)
    assert ran.output.shape == (count, 11)
    np.testing.assert_array_equal(ran.output[:, :4], ran.values[graph.outputs[0]])
    np.testing.assert_array_equal(ran.output[:, 4:], ran.values[graph.outputs[1]])
    real, kind = real_outputs(graph, ran.output), graph.tensors[graph.outputs[1]]
    assert kind.quant is not None
    wanted = (ran.output[:, 4:].astype(float) - kind.quant.zero_point) * kind.quant.per_tensor
    np.testing.assert_allclose(real[:, 4:], wanted, rtol=1e-15)


def test_ports_are_the_callers_memory() -> None:
    graph = two_by_two()
    plan = plan_memory(graph)
    wanted = {"input": "input:left", "right": "input:right"}
    wanted |= dict(zip(graph.outputs, ("output:classes", "output:hidden"), strict=True))
    assert {n: p for n, p in plan.places.items() if n in wanted} == wanted
    assert (plan.input_bytes, plan.output_bytes) == (12, 11)
    assert not {b.name for b in plan.buffers} & set(wanted)


def test_the_graph_file_keeps_the_names(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("graph") / "graph.npz"
    graph = two_by_two()
    write_graph(graph, path)
    assert read_graph(path).output_names == ("classes", "hidden")
    again = stored_graph(path)
    rows: Array = random_rows(graph, 3)
    np.testing.assert_array_equal(run(again, rows).output, run(graph, rows).output)


Break = Callable[[Graph], Graph]
BROKEN: dict[str, tuple[Break, type[EdgeqError], str]] = {
    "a name that no C program could bear": (
        lambda g: replace(g, input_names=("left", "int")),
        EdgeqError,
        "input name 'int' is a word of C",
    ),
    "two of one name": (
        lambda g: replace(g, output_names=("a", "a")),
        EdgeqError,
        "two outputs are 'a'",
    ),
    "the key of the labels": (
        lambda g: replace(g, input_names=("left", "y")),
        EdgeqError,
        "key of the labels",
    ),
    "a name too few": (
        lambda g: replace(g, output_names=("a",)),
        EdgeqError,
        "2 outputs and 1 names",
    ),
    "an output that is an input": (
        lambda g: replace(g, outputs=(g.outputs[0], "right")),
        UnsupportedOp,
        "computes nothing",
    ),
    "one output twice": (
        lambda g: replace(g, outputs=(g.outputs[0],) * 2),
        EdgeqError,
        "two outputs are",
    ),
    "an input of another type": (
        lambda g: g.with_tensors({"right": replace(g.tensors["right"], dtype="int32")}),
        EdgeqError,
        "not a quantised int8",
    ),
    "no input": (lambda g: replace(g, inputs=(), nodes=()), EdgeqError, "never computed"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_ports_that_are_refused(case: str) -> None:
    change, kind, message = BROKEN[case]
    with pytest.raises(kind, match=message):
        verify(change(two_by_two()), "lowered")


def test_more_ports_than_there_may_be() -> None:
    graph = two_by_two()
    many = {f"in_{i}": graph.tensors["right"] for i in range(15)}
    wide = replace(graph.with_tensors(many), inputs=(*graph.inputs, *many), input_names=())
    with pytest.raises(EdgeqError, match="17 inputs; 1 to 16"):
        verify(wide, "lowered")
