"""Files that an export wrote with experts under If come back as the mixture or cascade."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import edgeq
from edgeq.compiled import compile_graph
from edgeq.emit.forms import emit_forms
from edgeq.errors import ModelFile, UnsupportedOp
from edgeq.imported import Own
from edgeq.ir import Graph
from edgeq.ops.graph_note import NOTE, About, graph_of_note, note_of
from edgeq.ops.int4 import pack_int4, unpack_int4
from edgeq.passes.select_kernels import select_kernels
from edgeq.sources import source_of
from tests.factory import cascade_graph, fc_graph, mixture_graph
from tests.tflite_files import changed
from tests.unit.cascade.made import cascade_model

FORMS = ("onnx", "tflite")
DSP = frozenset({"dsp"})
DIGEST = "3" * 64
GRAPHS: dict[str, Callable[[np.random.Generator], Graph]] = {
    "mixture": mixture_graph,
    "escalation": lambda rng: mixture_graph(rng, rule="escalation"),
    "plain router": lambda rng: mixture_graph(rng, kind="plain", rule="off"),
    "behind a map": lambda rng: mixture_graph(rng, trunk="conv"),
    "two of three": lambda rng: mixture_graph(rng, gate="probability", top_k=2),
    "five widths": lambda rng: mixture_graph(rng, formats=("b1", "s2", "s3", "s4", "s8")),
    "cascade": cascade_graph,
    "cascade of heads": lambda rng: cascade_graph(rng, signal="ensemble"),
    "cascade behind a map": lambda rng: cascade_graph(rng, ("t2", "s4", "s8"), trunk="conv"),
}


def written(folder: Path, graph: Graph, form: str) -> Path:
    """The file that an export writes, under a name of its own."""
    forms = emit_forms(graph, "the model", DIGEST, ("cat", "dog"))
    path = folder / f"other_name.{form}"
    path.write_bytes({"onnx": forms.onnx, "tflite": forms.tflite or b""}[form])
    return path


def project(graph: Graph) -> dict[str, bytes]:
    compiled = compile_graph(graph, "the model", DIGEST, class_names=("cat", "dog"))
    return dict(compiled.project.files)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", GRAPHS)
def test_export_import_export_gives_the_same_firmware(name: str, form: str, tmp_path: Path) -> None:
    graph = select_kernels(GRAPHS[name](np.random.default_rng(3)), DSP)
    source = source_of(written(tmp_path, graph, form))
    assert isinstance(source, Own)
    assert (source.name, source.digest, source.class_names) == ("the model", DIGEST, ("cat", "dog"))
    x = source.rows(None)
    back = source.quantized(x, "mse", DSP, None)
    assert project(back.graph) == project(graph)
    assert emit_forms(back.graph, source.name, source.digest, source.class_names) == emit_forms(
        graph, "the model", DIGEST, ("cat", "dog")
    )
    assert back.chosen(len(x)).shape[0] == len(x)
    assert (back.curiosity is None) != (back.cascading is None)
    assert source.check(back.graph, x[:8], anew=False).passed


@pytest.mark.full
def test_an_export_of_an_exports_files_is_that_export(tmp_path: Path) -> None:
    edgeq.save(cascade_model(), tmp_path / "model.pt")
    given: dict[str, Any] = {"target": "virtual_m4"}
    edgeq.export(tmp_path / "model.pt", out=tmp_path / "first", **given)
    for form in FORMS:
        out = tmp_path / form
        report = edgeq.export(tmp_path / "first" / f"model.{form}", out=out, **given)
        assert [check["passed"] for check in report["checks"]] == [True] * 4
        for part in ("firmware", "model.onnx", "model.tflite"):
            made, wanted = ({}, {})
            for folder, held in ((out, made), (tmp_path / "first", wanted)):
                files = [folder / part] if (folder / part).is_file() else (folder / part).rglob("*")
                held.update({f.relative_to(folder): f.read_bytes() for f in files if f.is_file()})
            assert made
            assert made == wanted
        assert edgeq.verify(out, model=tmp_path / "first" / f"model.{form}")["passed"]


def test_the_note_holds_no_array_that_the_file_holds() -> None:
    graph = mixture_graph(np.random.default_rng(3), hidden=64, features=64)
    about = About("m", DIGEST, (), "1")
    weights = [v for v in graph.nodes[-1].attrs.experts[2].graph.constants.values() if v.ndim == 2]
    alone = note_of(graph, about, ())
    held = [value.tobytes() for value in weights]
    short = note_of(graph, about, held)
    assert len(short) < len(alone) - 0.9 * sum(map(len, held))
    back, said = graph_of_note(short, held)
    assert said == about
    for wanted, got in zip(
        graph.nodes[-1].attrs.experts, back.nodes[-1].attrs.experts, strict=True
    ):
        assert wanted.graph.constants.keys() == got.graph.constants.keys()
        for name, value in wanted.graph.constants.items():
            np.testing.assert_array_equal(got.graph.constants[name], value)
    with pytest.raises(ModelFile, match="is damaged"):
        graph_of_note(short, ())


@pytest.mark.parametrize("form", FORMS)
def test_a_graph_without_experts_has_no_note(form: str) -> None:
    forms = emit_forms(fc_graph(np.random.default_rng(0)), "m", DIGEST)
    assert NOTE.encode() not in (forms.onnx if form == "onnx" else forms.tflite or b"")


def other_weight(path: Path) -> None:
    """Another byte in a weight, which the note names by its digest, or in another constant."""
    if path.suffix == ".onnx":
        model = onnx.load(path)
        router = next(t for t in model.graph.initializer if len(t.raw_data) > 64)
        router.raw_data = bytes([router.raw_data[0] ^ 1]) + router.raw_data[1:]
        onnx.save(model, path)
        return

    def change(model: Any) -> None:
        buffer = next(b for b in model.buffers if b.data is not None and len(b.data) > 64)
        buffer.data = buffer.data ^ np.uint8(1)

    path.write_bytes(changed(path.read_bytes(), change))


def other_limit(path: Path) -> None:
    """An operator that the note does not know of."""
    if path.suffix == ".onnx":
        model = onnx.load(path)
        model.graph.node[-1].name = "renamed"
        onnx.save(model, path)
        return

    def change(model: Any) -> None:
        model.subgraphs[0].operators[0].inputs = model.subgraphs[0].operators[0].inputs[::-1]

    path.write_bytes(changed(path.read_bytes(), change))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (other_weight, ModelFile, "its note edgeq_graph is damaged"),
        (other_limit, UnsupportedOp, "was changed since"),
    ],
)
def test_a_file_that_was_changed_is_refused(
    form: str, change: Callable[[Path], None], kind: type[Exception], said: str, tmp_path: Path
) -> None:
    path = written(tmp_path, mixture_graph(np.random.default_rng(3)), form)
    change(path)
    with pytest.raises(kind, match=said) as refused:
        source_of(path)
    assert str(path) in str(refused.value)


def without_note(path: Path) -> None:
    if path.suffix == ".onnx":
        model = onnx.load(path)
        del model.metadata_props[:]
        onnx.save(model, path)
        return

    def change(model: Any) -> None:
        model.metadata = [each for each in model.metadata if each.name.decode() != NOTE]

    path.write_bytes(changed(path.read_bytes(), change))


@pytest.mark.parametrize("form", FORMS)
def test_an_if_without_its_note_is_refused_by_name(form: str, tmp_path: Path) -> None:
    path = written(tmp_path, cascade_graph(np.random.default_rng(3)), form)
    without_note(path)
    with pytest.raises(UnsupportedOp, match=r"control flow.*an If is taken back only"):
        source_of(path)


def test_another_version_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeq.emit.tflite_model.__version__", "0.0.1")
    path = written(tmp_path, mixture_graph(np.random.default_rng(3)), "tflite")
    monkeypatch.undo()
    with pytest.raises(UnsupportedOp, match=r"was written by edgeq 0\.0\.1, this is"):
        source_of(path)


@pytest.mark.parametrize(
    "note", [b"", b"x", base64.b64decode("eJwDAAAAAAE="), b"\x78\x9c" + bytes(40)]
)
def test_a_note_that_is_none_is_damage(note: bytes) -> None:
    with pytest.raises(ModelFile, match="is damaged"):
        graph_of_note(note, ())


@pytest.mark.parametrize("count", [1, 2, 7])
def test_int4_codes_are_packed_and_unpacked(count: int) -> None:
    codes = np.random.default_rng(count).integers(-8, 8, count).astype(np.int8)
    np.testing.assert_array_equal(unpack_int4(pack_int4(codes), count), codes)
    with pytest.raises(ValueError, match="int4 codes in"):
        unpack_int4(pack_int4(codes) + b"x", count)
