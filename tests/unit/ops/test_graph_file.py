"""The graph file: what is written is read again, and nothing else is."""

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeq.errors import ModelFile
from edgeq.ir import Graph
from edgeq.ops.graph_file import read_graph, write_graph
from edgeq.reference import run
from tests import factory

GRAPHS = {
    "fc": lambda rng: factory.fc_graph(rng, ("s16", "b1", "s2", "s3"), softmax=True),
    "conv": factory.conv_graph,
    "mixture": lambda rng: factory.mixture_graph(rng, trunk="conv"),
    "gated": lambda rng: factory.mixture_graph(
        rng, rule="escalation", top_k=2, gate="probability", trunk="fc"
    ),
}


def assert_same(a: Graph, b: Graph) -> None:
    """Every field of two graphs, constants by value and dtype, experts included."""
    assert (a.name, a.inputs, a.outputs) == (b.name, b.inputs, b.outputs)
    assert dict(a.tensors) == dict(b.tensors)
    assert a.constants.keys() == b.constants.keys()
    for name, value in a.constants.items():
        assert value.dtype == b.constants[name].dtype
        np.testing.assert_array_equal(value, b.constants[name])
    for m, n in zip(a.nodes, b.nodes, strict=True):
        assert (m.name, m.op, m.inputs, m.outputs) == (n.name, n.op, n.inputs, n.outputs)
        assert (dict(m.params), m.kernel) == (dict(n.params), n.kernel)
        if m.op != "Mixture":
            assert m.attrs == n.attrs
            continue
        assert (m.attrs.router, m.attrs.top_k) == (n.attrs.router, n.attrs.top_k)
        assert m.attrs.gate == n.attrs.gate
        for e, f in zip(m.attrs.experts, n.attrs.experts, strict=True):
            assert (e.name, e.weight_format, e.bits) == (f.name, f.weight_format, f.bits)
            assert_same(e.graph, f.graph)


@pytest.mark.parametrize("kind", GRAPHS)
def test_a_graph_comes_back_as_it_was(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    graph = GRAPHS[kind](rng)
    write_graph(graph, tmp_path / "g.npz")
    back = read_graph(tmp_path / "g.npz")
    assert_same(graph, back)
    x = factory.input_rows(rng, graph, 6)
    np.testing.assert_array_equal(run(graph, x).output, run(back, x).output)


def test_the_bytes_depend_on_the_graph_alone(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write_graph(factory.smallest_mixture(), tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFile, match="does not exist"):
        read_graph(tmp_path / "none.npz")


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    write_graph(factory.smallest_mixture(), tmp_path / "g.npz")
    return tmp_path / "g.npz"


@pytest.mark.parametrize("part", [0.0, 0.001, 0.3, 0.7, 0.95, 0.9999])
def test_a_truncated_file_is_refused(stored: Path, part: float) -> None:
    whole = stored.read_bytes()
    stored.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(ModelFile, match="export"):
        read_graph(stored)


def test_no_flipped_byte_escapes_as_another_error(stored: Path) -> None:
    whole = stored.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(whole), 120):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(rng.integers(8))
        stored.write_bytes(bytes(damaged))
        try:
            read_graph(stored)
        except ModelFile:
            continue


class Bomb:
    """Unpickling this would write a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


def entry(value: Any, allow_pickle: bool = False) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asarray(value), allow_pickle=allow_pickle)
    return out.getvalue()


def replace_entry(path: Path, name: str, data: bytes, how: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = {n: archive.read(n) for n in archive.namelist()}
    entries[name] = data
    with zipfile.ZipFile(path, "w", how) as archive:
        for key, value in entries.items():
            archive.writestr(key, value)


def header_of(path: Path) -> dict[str, Any]:
    with np.load(path) as arrays:
        header: dict[str, Any] = json.loads(bytes(arrays["header"]))
    return header


def with_header(path: Path, header: Any) -> None:
    text = json.dumps(header).encode()
    replace_entry(path, "header.npy", entry(np.frombuffer(text, np.uint8)))


def test_a_pickle_never_runs(stored: Path, tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    poisoned = entry(np.array([Bomb(mark)], dtype=object), allow_pickle=True)
    constant = header_of(stored)["graph"]["constants"][0]
    for name in ("header.npy", f"c/{constant}.npy"):
        write_graph(factory.smallest_mixture(), stored)
        replace_entry(stored, name, poisoned)
        with pytest.raises(ModelFile, match="damaged"):
            read_graph(stored)
    stored.write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(ModelFile, match="damaged"):
        read_graph(stored)
    stored.write_bytes(entry(np.zeros(3)))  # a lone .npy
    with pytest.raises(ModelFile, match="damaged"):
        read_graph(stored)
    assert not mark.exists()


HEADERS: dict[str, Any] = {
    "a list": [],
    "a number": 3,
    "another format": {"format": "onnx", "version": 1},
    "another version": {"format": "edgeq-graph", "version": 2},
    "no graph": {"format": "edgeq-graph", "version": 1},
    "a graph that is a list": {"format": "edgeq-graph", "version": 1, "graph": []},
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_of_another_kind(stored: Path, case: str) -> None:
    with_header(stored, HEADERS[case])
    with pytest.raises(ModelFile):
        read_graph(stored)


@pytest.mark.parametrize("field", ["nodes", "tensors", "constants", "inputs", "prefix"])
@pytest.mark.parametrize("value", [None, 7, [3], {"x": 1}])
def test_a_header_with_a_field_of_another_kind(stored: Path, field: str, value: Any) -> None:
    header = header_of(stored)
    header["graph"][field] = value
    with_header(stored, header)
    with pytest.raises(ModelFile):
        read_graph(stored)


def test_an_unknown_op(stored: Path) -> None:
    header = header_of(stored)
    header["graph"]["nodes"][0]["op"] = "Custom"
    with_header(stored, header)
    with pytest.raises(ModelFile):
        read_graph(stored)


def test_a_constant_of_another_shape_or_dtype(stored: Path) -> None:
    constant = header_of(stored)["graph"]["constants"][0]
    replace_entry(stored, f"c/{constant}.npy", entry(np.zeros((3, 1, 1), np.float64)))
    with pytest.raises(ModelFile, match="constant"):
        read_graph(stored)


def test_a_file_that_inflates_beyond_reason(stored: Path) -> None:
    constant = header_of(stored)["graph"]["constants"][0]
    huge = entry(np.zeros(20_000_000, np.int8))
    replace_entry(stored, f"c/{constant}.npy", huge, zipfile.ZIP_DEFLATED)
    assert stored.stat().st_size < 200_000
    with pytest.raises(ModelFile, match="inflate"):
        read_graph(stored)


def test_an_array_header_that_promises_more_than_there_is(stored: Path) -> None:
    constant = header_of(stored)["graph"]["constants"][0]
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": "|i1", "fortran_order": False, "shape": (2**50,)}
    )
    replace_entry(stored, f"c/{constant}.npy", out.getvalue() + b"abc")
    with pytest.raises(ModelFile):
        read_graph(stored)
