"""Case 23: every key of what edgeq keeps, removed and mistyped, is read or refused in words."""

import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeq.errors import BadInput, EdgeqError, ModelFile
from edgeq.export_folder import read_report
from edgeq.ops.graph_file import write_graph
from edgeq.passes.stored_graph import stored_graph
from tests import factory
from tests.hostile import mutate
from tests.hostile.surfaces.records import show_run
from tests.unit.report import made

ODD = (None, "x", -1, 1.5, [], {}, [[]], True)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    made.write_run(tmp_path / "run", made.subject())
    return tmp_path / "run"


def changes(tree: Any) -> Iterator[tuple[str, Any]]:
    """Each key or item gone, and each value of another type: (where, the tree)."""
    for container, key in mutate.places(tree, []):
        value = container[key]
        for odd in ODD:
            if type(odd) is type(value):
                continue
            container[key] = odd
            yield f"{key} = {odd!r}", tree
        container[key] = value
        if isinstance(container, dict):
            kept = dict(container)
            del container[key]
            yield f"no {key}", tree
            container.clear()
            container.update(kept)


def refusal(read: Callable[[], object]) -> tuple[type, str] | None:
    """The error of edgeq's that reading ends with."""
    try:
        read()
    except EdgeqError as error:
        return type(error), str(error)
    return None


def test_case_23_no_change_of_profile_json_escapes_in_another_error(run: Path) -> None:
    path = run / "profile.json"
    whole, refused, told = json.loads(path.read_text()), 0, 0
    for number, (where, tree) in enumerate(changes(whole)):
        path.write_text(json.dumps(tree))
        said = refusal(lambda page=number % 40 == 0: show_run(run, run, page))
        assert said is None or (said[0] is BadInput and "profile.json" in said[1]), where
        refused += said is not None
        told += 1
    assert told > 500
    assert refused > 0.7 * told


def test_case_23_a_mistyped_key_is_named(run: Path) -> None:
    path = run / "profile.json"
    tree = json.loads(path.read_text())
    tree["experts"][1]["latency"]["mean"] = "fast"
    path.write_text(json.dumps(tree))
    with pytest.raises(BadInput, match=r"profile\.json.*experts\.1\.latency\.mean"):
        show_run(run, run, page=False)


@pytest.mark.parametrize("field", ["cycles", "output", "route", "label", "layer_cycles"])
@pytest.mark.parametrize("value", [[[]], "5", None, -7, 1e300, {}])
def test_case_23_a_record_of_the_journal_is_checked(run: Path, field: str, value: Any) -> None:
    from edgeq.harness.journal import encode_line
    from edgeq.harness.trace import read_run

    lines = [record.fields() for record in read_run(run).records]
    lines[2] = {**lines[2], field: value}
    (run / "records" / "00000.parquet").unlink()
    (run / "journal-00000.log").write_bytes(b"".join(map(encode_line, lines)))
    with pytest.raises(BadInput, match="run"):
        show_run(run, run, page=True)


def test_case_23_a_whole_journal_is_read(run: Path) -> None:
    from edgeq.harness.journal import encode_line
    from edgeq.harness.trace import read_run

    lines = [record.fields() for record in read_run(run).records]
    (run / "records" / "00000.parquet").unlink()
    (run / "journal-00000.log").write_bytes(b"".join(map(encode_line, lines)))
    assert "pets" in show_run(run, run, page=True)


def test_case_23_no_change_of_the_graph_s_header_escapes_in_another_error(tmp_path: Path) -> None:
    path = tmp_path / "graph.npz"
    write_graph(factory.smallest_mixture(), path)
    entries = dict(mutate.entries_of(path.read_bytes()))
    start = 10 + int.from_bytes(entries["header.npy"][8:10], "little")
    told = refused = 0
    for number, (where, tree) in enumerate(changes(json.loads(entries["header.npy"][start:]))):
        if number % 7:  # a few hundred of some thousands
            continue
        text = json.dumps(tree).encode()
        header = mutate.npy("'|u1'", "False", f"({len(text)},)", text)
        path.write_bytes(mutate.zip_of([*(entries | {"header.npy": header}).items()]))
        said = refusal(lambda: stored_graph(path))
        assert said is None or (said[0] is ModelFile and "graph.npz" in said[1]), where
        refused += said is not None
        told += 1
    assert told > 200
    assert refused > 0.8 * told


@pytest.mark.parametrize("change", ["dtype", "shape", "kernel", "weights", "shift"])
def test_case_23_a_graph_that_makes_no_sense_is_refused(change: str, tmp_path: Path) -> None:
    graph = factory.fc_graph(np.random.default_rng(1), ("s4", "s8"))
    node = next(n for n in graph.nodes if n.op == "FullyConnected")
    name = node.params["weight"]
    if change == "kernel":
        from dataclasses import replace

        nodes = [replace(n, kernel="edgeq_softmax_s8") if n is node else n for n in graph.nodes]
        graph = graph.with_nodes(nodes)
    elif change == "shift":
        role = node.params["shift"]
        graph = graph.with_constants({role: np.full_like(graph.constants[role], 40)})
    else:
        weight = graph.constants[name]
        odd = {"dtype": weight.astype(np.float32), "shape": weight[:, 1:], "weights": weight + 90}
        graph = graph.with_constants({name: odd[change]})
    write_graph(graph, tmp_path / "graph.npz")
    with pytest.raises(ModelFile, match=r"graph\.npz"):
        stored_graph(tmp_path / "graph.npz")


def test_case_23_no_change_of_export_json_escapes_in_another_error(tmp_path: Path) -> None:
    from tests.tiny_export import tiny_report_folder

    folder = tiny_report_folder(tmp_path / "export")
    path = folder / "export.json"
    for where, tree in changes(json.loads(path.read_text())):
        path.write_text(json.dumps(tree))
        said = refusal(lambda: read_report(folder))
        assert said is None or (said[0] is ModelFile and "export.json" in said[1]), where


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": 1e999}', "is infinite"),
        (b'{"a": 1, "a": 2}', "stands twice"),
        (b'{"a": 99999999999999999999}', "leaves 64 bits"),
        (b'{"a": "\\ud800"}', "half a character"),
        (b"[" * 40 + b"]" * 40, "deeper than 32"),
        (b"[" * 100_000, "deeper than 32"),
        (b"\xff{}", "utf-8"),
    ],
)
def test_what_python_s_json_lets_through(text: bytes, why: str) -> None:
    from edgeq.plain_json import decode_json

    with pytest.raises(ValueError, match=why):
        decode_json(text)


def test_brackets_in_a_text_are_no_nesting() -> None:
    from edgeq.plain_json import decode_json

    assert decode_json(json.dumps({"a": "[" * 50 + '"\\' + "[" * 50}).encode())


def test_a_journal_s_checksum_saves_no_bad_json(run: Path) -> None:
    text = b'{"index": NaN}'
    (run / "records" / "00000.parquet").unlink()
    lines = b"%08x %s\n" % (zlib.crc32(text), text) * 2
    (run / "journal-00000.log").write_bytes(lines)
    with pytest.raises(EdgeqError, match="damaged at line 1"):
        show_run(run, run, page=False)
