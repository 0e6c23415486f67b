"""`edgeq verify`: an export folder proven again, on the twin, on a board, and when it is spoilt."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgeq
from edgeq import nn, pipeline
from edgeq.errors import BadInput, Link, ModelFile
from tests.command_line import Ended, run_told
from tests.tiny_export import served
from tests.unit.prove.conftest import rows, small_model


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export with evaluation rows, built for its virtual board."""
    folder = tmp_path_factory.mktemp("verify")
    model = small_model()
    model.evaluation = (rows(), np.zeros(60, np.int64))
    edgeq.save(model, folder / "model.pt")
    pipeline.export(folder / "model.pt", "virtual_m4", folder / "out")
    pipeline.build("virtual_m4", folder / "out")
    return folder / "out"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    return lambda *words: run_told(monkeypatch, capfd, "verify", *words)


def test_a_sound_export_holds_with_its_model(export: Path, run: Callable[..., Ended]) -> None:
    code, out, err = run(export, "--model", export.parent / "model.pt", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert [c["name"] for c in result["checks"]] == ["model", "firmware", "onnx", "tflite"]
    assert result["passed"]
    assert result["rows_of"] == "evaluation"
    code, out, err = run(export)
    assert code == 0, err
    assert "byte for byte" in out


def test_a_board_answers_for_itself(export: Path, run: Callable[..., Ended]) -> None:
    """A virtual board behind a pty; the routes that no row takes are named, not passed over."""
    with served(export) as (port, _):
        result = edgeq.verify(export, port=port)
        firmware = result["checks"][0]
        assert result["passed"]
        assert firmware["by"] == f"virtual_m4 at {port}"
        assert firmware["forced"] == 0
        assert firmware["samples"] >= 8
        assert "no row takes int4" in firmware["said"]
        code, out, err = run(export, "--port", port, "--json")
        assert (code, json.loads(out)["passed"]) == (0, True), err


def copied(export: Path, folder: Path) -> Path:
    return shutil.copytree(export, folder / "copy")


def test_a_kernel_that_was_changed_ends_with_6(
    export: Path, tmp_path: Path, run: Callable[..., Ended]
) -> None:
    copy = copied(export, tmp_path)
    source = copy / "firmware" / "kernels" / "edgeq_router.h"
    text = source.read_text()
    assert "((int64_t)1 << 33)" in text
    source.write_text(text.replace("((int64_t)1 << 33)", "((int64_t)1 << 34)"))
    code, out, err = run(copy, "--json")
    assert code == 6
    assert json.loads(out)["passed"] is False
    assert "firmware: virtual virtual_m4: " in err


def test_a_form_of_another_model_ends_with_6(
    export: Path, tmp_path: Path, run: Callable[..., Ended]
) -> None:
    copy = copied(export, tmp_path)
    other = small_model()
    other.name = "other"
    for expert in other.body.experts:
        expert[2].weight.data.mul_(-1)
    edgeq.save(other, tmp_path / "other.pt")
    pipeline.export(tmp_path / "other.pt", "virtual_m4", tmp_path / "other")
    shutil.copy(tmp_path / "other" / "model.tflite", copy / "model.tflite")
    code, _, err = run(copy)
    assert code == 6
    assert "tflite: " in err


def test_what_is_not_there_or_of_another_model_is_said(export: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no export"):
        edgeq.verify(tmp_path)
    edgeq.save(small_model(), tmp_path / "again.pt")
    with pytest.raises(ModelFile, match="the export is of"):
        edgeq.verify(export, model=tmp_path / "again.pt")
    with pytest.raises(Link, match="does not exist"):
        edgeq.verify(export, port=str(tmp_path / "none"))
    (tmp_path / "other").mkdir()
    copy = copied(export, tmp_path / "other")
    report = json.loads((copy / "export.json").read_text())
    (copy / "export.json").write_text(json.dumps(report | {"model_digest": "0" * 64}))
    with served(export) as (port, _), pytest.raises(Link, match="edgeq flash --board virtual_m4"):
        edgeq.verify(copy, port=port)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": None}, "it has no schema, as an older edgeq wrote it"),
        ({"schema": 99}, "its schema is '99', this edgeq reads 1"),
        ({"checks": "all well"}, "is damaged: checks"),
    ],
)
def test_an_older_or_damaged_report_is_one_clear_error(
    change: dict[str, object], said: str, export: Path, tmp_path: Path, run: Callable[..., Ended]
) -> None:
    copy = copied(export, tmp_path)
    report = json.loads((copy / "export.json").read_text())
    assert report["schema"] == 1
    left_out = {key for key, value in change.items() if value is None}
    changed = {key: v for key, v in (report | change).items() if key not in left_out}
    (copy / "export.json").write_text(json.dumps(changed))
    code, out, err = run(copy)
    assert (code, out) == (3, "")
    assert said in err


@pytest.fixture(scope="module")
def requantized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export that quantised a float file on rows of its own, and those rows beside it."""
    folder = tmp_path_factory.mktemp("requantized")
    body = nn.Sequential(nn.Linear(4, 6, "ptq"), nn.ReLU(), nn.Linear(6, 3, "ptq"))
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    edgeq.save(nn.Model(body.eval(), (4,), calibration=x), folder / "float.pt")
    np.savez(folder / "x.npz", x=2 * x)
    edgeq.export(
        folder / "float.pt",
        "virtual_m4",
        folder / "out",
        folder / "x.npz",
        weights="int4",
        accept_mismatch=True,
    )
    return folder


def test_the_file_before_quantisation_proves_its_export(requantized: Path) -> None:
    folder = requantized
    origin = json.loads((folder / "out" / "export.json").read_text())["origin"]
    assert (origin["weights"], origin["ptq"]) == ("int4", "fast")
    found = edgeq.verify(folder / "out", model=folder / "float.pt", calibration=folder / "x.npz")
    (stated,) = json.loads((folder / "out" / "export.json").read_text())["checks"][:1]
    assert found["checks"][0] == stated


def test_other_rows_or_another_file_are_refused(requantized: Path) -> None:
    folder = requantized
    with pytest.raises(BadInput, match="pass them again: --calibration X"):
        edgeq.verify(folder / "out", model=folder / "float.pt")
    np.savez(folder / "y.npz", x=np.random.default_rng(1).normal(size=(64, 4)).astype(np.float32))
    with pytest.raises(ModelFile, match="other rows than those"):
        edgeq.verify(folder / "out", model=folder / "float.pt", calibration=folder / "y.npz")
    edgeq.save(small_model(), folder / "other.pt")
    with pytest.raises(ModelFile, match="made from"):
        edgeq.verify(folder / "out", model=folder / "other.pt", calibration=folder / "x.npz")
