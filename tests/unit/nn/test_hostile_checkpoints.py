"""Files that are no model of edgeq's, damaged or made to harm: refused, nothing executed."""

import contextlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgeq import stored_zip
from edgeq.errors import BadInput, ModelFile
from edgeq.nn import Linear, Model, archive, load, save
from tests.hang import HANG_S


class _Payload:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.target}",)


def test_a_poisoned_pickle_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace, path = tmp_path / "executed", tmp_path / "m.pt"
    torch.save({"format": "edgeq-model", "version": 1, "config": _Payload(trace)}, path)
    for value in ("0", "1"):
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", value)
        with pytest.raises(ModelFile, match=r"edgeq\.save"):
            load(path)
        assert not trace.exists()


@pytest.mark.full  # importing torch once more
def test_a_poisoned_pickle_never_runs_in_a_fresh_process(tmp_path: Path) -> None:
    trace, path = tmp_path / "executed", tmp_path / "m.pt"
    torch.save(_Payload(trace), path)
    code = f"import edgeq.nn; edgeq.nn.load({str(path)!r})"
    env = {**os.environ, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=HANG_S
    )
    assert "ModelFile" in done.stderr
    assert not trace.exists()


def test_whole_modules_and_bare_state_dicts_are_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(ModelFile, match=r"(?s)load_state_dict.*from_torch.*edgeq\.save"):
        load(tmp_path / "module.pt")
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "state.pt")
    with pytest.raises(ModelFile, match="bare state dict"):
        load(tmp_path / "state.pt")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_and_other_formats_are_refused(tmp_path: Path) -> None:
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "script.pt")
    with pytest.raises(ModelFile, match="TorchScript"):
        load(tmp_path / "script.pt")
    for suffix, message in (
        (".onnx", r"edgeq\.from_onnx\(path\) and `edgeq export` take ONNX files"),
        (".tflite", r"TFL3 in its bytes 4 to 7; edgeq\.from_tflite\(path\)"),
        (".pt2", r"execute code when loaded and are refused; build the module and save its"),
    ):
        (tmp_path / f"m{suffix}").write_bytes(b"\x08\x01")
        with pytest.raises(ModelFile, match=message):
            load(tmp_path / f"m{suffix}")
    (tmp_path / "noise.pt").write_bytes(os.urandom(500))
    (tmp_path / "empty.pt").write_bytes(b"")
    torch.save({"a": 1}, tmp_path / "legacy.pt", _use_new_zipfile_serialization=False)
    for name in ("noise", "empty", "legacy"):
        with pytest.raises(ModelFile, match="not an edgeq model"):
            load(tmp_path / f"{name}.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt", "w") as other:
        other.writestr("readme.txt", "hello")
    with pytest.raises(ModelFile, match="not a model"):
        load(tmp_path / "plain.pt")


def test_exported_program_under_another_name_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as other:
        other.writestr("m/archive_format", "pt2")
        other.writestr("m/models/model.json", "{}")
        other.writestr("m/data.pkl", b"\x80\x02}.")
    with pytest.raises(ModelFile, match=r"torch\.export"):
        load(tmp_path / "m.pt")


def test_missing_file_and_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        load(tmp_path / "absent.pt")
    with pytest.raises(BadInput, match="not a file"):
        load(tmp_path)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    save(Model(Linear(4, 2), (4,)), tmp_path / "m.pt")
    whole = (tmp_path / "m.pt").read_bytes()
    for length in range(0, len(whole) - 1, 211):
        (tmp_path / "cut.pt").write_bytes(whole[:length])
        with pytest.raises(ModelFile):
            load(tmp_path / "cut.pt")


def test_flipped_bytes_load_or_are_refused_but_never_crash(tmp_path: Path) -> None:
    save(Model(Linear(4, 2), (4,)), tmp_path / "m.pt")
    whole = (tmp_path / "m.pt").read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        (tmp_path / "bad.pt").write_bytes(bytes(damaged))
        with contextlib.suppress(ModelFile):
            assert isinstance(load(tmp_path / "bad.pt"), Model)


def test_zip_bombs_are_refused_before_they_inflate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("m/data.pkl", bytes(4 * 2**20))
    assert path.stat().st_size < 10_000
    with pytest.raises(ModelFile, match="compressed"):
        load(path)
    monkeypatch.setattr(archive, "MAX_BYTES", 2**20)
    with pytest.raises(ModelFile, match="would inflate to 4,194,304"):
        load(path)
    monkeypatch.setattr(archive, "MAX_BYTES", 1000)
    with pytest.raises(ModelFile, match="the limit is 1,000"):
        load(path)
    monkeypatch.setattr(stored_zip, "MAX_ENTRIES", 0)
    monkeypatch.setattr(archive, "MAX_BYTES", 2**29)
    with pytest.raises(ModelFile, match="entries; the limit"):
        load(path)


def _content(tmp_path: Path) -> dict[str, Any]:
    x = torch.randn(6, 4)
    model = Model(Linear(4, 2), (4,), ("a", "b"), x, (x, torch.zeros(6, dtype=torch.int64)))
    save(model, tmp_path / "m.pt")
    content = torch.load(tmp_path / "m.pt", weights_only=True)
    assert isinstance(content, dict)
    return content


def _edit(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return change


def _drop(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        del content[path[-1]]

    return change


W = torch.ones(2, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_edit("format", value="other"), "not an edgeq model"),
        (_edit("version", value=2), "version 2"),
        (_edit("version", value=True), "version True"),
        (_drop("quant"), "exactly"),
        (_edit("extra", value=1), "exactly"),
        (_edit("quant", value={}), "quant table"),
        (_drop("state_dict", "weight"), "disagree on: weight"),
        (_edit("state_dict", "more", value=W), "disagree on: more"),
        (_edit("state_dict", value=[1]), "disagree"),
        (_edit("state_dict", "weight", value=W.T.contiguous()), r"shape \(4, 2\)"),
        (_edit("state_dict", "weight", value=W.double()), "float64"),
        (_edit("state_dict", "weight", value=W.half()), "float16"),
        (_edit("state_dict", "weight", value=W.to_sparse()), "sparse"),
        (_edit("state_dict", "weight", value=W * torch.nan), "NaN"),
        (_edit("state_dict", "weight", value=W / 0), "NaN or inf"),
        (_edit("state_dict", "weight", value=torch.ones(1, 1).expand(2, 4)), "does not fill"),
        (_edit("state_dict", "weight", value=W.to("meta")), "rebuild_meta_tensor"),
        (_edit("state_dict", "weight", value=3.0), "expected a tensor"),
        (
            _edit("state_dict", "weight", value=torch.quantize_per_tensor(W, 1.0, 0, torch.qint8)),
            "rebuild_qtensor",
        ),
        (_edit("calibration", value=torch.zeros(6, 4)), "constant"),
        (_edit("calibration", value=torch.randn(0, 4)), "empty"),
        (_edit("calibration", value=torch.randn(6, 5)), "shape"),
        (_edit("calibration", value=[1.0]), "expected a tensor"),
        (
            _edit("evaluation", "y", value=torch.full((6,), 2)),
            "labels up to 2",
        ),
        (_edit("evaluation", "y", value=torch.zeros(5, dtype=torch.int64)), "one integer label"),
        (_edit("evaluation", value=3), "x and y"),
        (_edit("config", value="{}"), "config must hold"),
        (_edit("config", "input_shape", value=[4, -1]), "input_shape"),
        (_edit("config", "input_shape", value=[2**40]), "input_shape"),
        (_edit("config", "class_names", value=[1]), "class_names"),
        (_edit("config", "name", value="x" * 999), "name"),
        (_edit("config", "body", value={"kind": "celu"}), "'celu'"),
        (_edit("config", "body", "out_features", value=2**19), "parameters|disagree|shape"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_edited_files_are_refused(
    change: Callable[[dict[str, Any]], None], message: str, tmp_path: Path
) -> None:
    content = _content(tmp_path)
    change(content)
    torch.save(content, tmp_path / "edited.pt")
    with pytest.raises(ModelFile, match=message) as caught:
        load(tmp_path / "edited.pt")
    assert "edited.pt" in str(caught.value)
