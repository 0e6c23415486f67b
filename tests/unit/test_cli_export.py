"""`edgeq export` with bad input: one clear line, the right exit code, nothing half-written."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgeq
from edgeq import cli, nn
from edgeq.nn import archive
from edgeq.toolchain import compiler as compiler_module
from tests.hang import HANG_S

ROWS = 24
Breaker = Callable[[Path], Path]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """run("export", ...) is the command line in this process."""

    def command(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["edgeq", *map(str, arguments)])
        capfd.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Ended(code, *capfd.readouterr())

    return command


def rows(features: int = 4) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(ROWS, features)).astype(np.float32)


def model(calibration: Any = None) -> nn.Model:
    """The smallest thing that exports."""
    torch.manual_seed(1)
    body = nn.Sequential(nn.Linear(4, 6, "ternary"), nn.ReLU(), nn.Linear(6, 2, 8))
    return nn.Model(body, (4,), name="small", calibration=calibration)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "model.pt"
    edgeq.save(model(rows()), path)
    return path


@pytest.fixture
def sound(good: Path, tmp_path: Path) -> Path:
    """A sound model file in a folder of its own."""
    path = tmp_path / "model.pt"
    path.write_bytes(good.read_bytes())
    return path


def assert_refused(ended: Ended, code: int, *parts: str) -> None:
    """One line on standard error, none on standard output, every part of the message."""
    assert ended.code == code, ended
    assert ended.out == ""
    assert ended.err.startswith("edgeq: ")
    assert ended.err.count("\n") == 1, ended.err
    assert "Traceback" not in ended.err
    for part in parts:
        assert part in ended.err, ended.err


def listing(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


# --- the model file


def absent(path: Path) -> Path:
    return path.with_name("absent.pt")


def truncated(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-200])
    return path


def empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def text(path: Path) -> Path:
    path.write_text("weights: 1 2 3\n")
    return path


def bare_state(path: Path) -> Path:
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    return path


class _Payload:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.target}",)


def poisoned(path: Path) -> Path:
    torch.save(_Payload(path.with_name("executed")), path)
    return path


def edited(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    return path


def with_nan(path: Path) -> Path:
    return edited(path, lambda c: next(iter(c["state_dict"].values())).fill_(float("nan")))


def unknown_layers(path: Path) -> Path:
    def change(content: dict[str, Any]) -> None:
        layers = content["config"]["body"]["layers"]
        layers[0], layers[1] = {"kind": "attention"}, {"kind": "celu"}

    return edited(path, change)


def no_kernel(path: Path) -> Path:
    """Two ops that no kernel computes, as an edgeq that did not check them would have saved."""
    layers = [nn.AvgPool2d(2, 2, 0), nn.GlobalAvgPool(), nn.Linear(4, 2)]
    body = nn.Sequential(nn.Conv2d(2, 4, 3), *layers)
    x = np.random.default_rng(0).normal(size=(8, 2, 8, 8)).astype(np.float32)
    edgeq.save(nn.Model(body, (2, 8, 8), calibration=x), path)

    def change(content: dict[str, Any]) -> None:
        conv, pool = content["config"]["body"]["layers"][:2]
        conv["groups"], pool["padding"] = 2, [1, 1]
        content["state_dict"]["0.weight"] = content["state_dict"]["0.weight"][:, :1].clone()

    return edited(path, change)


BAD_FILES: dict[str, tuple[Breaker, int, tuple[str, ...]]] = {
    "absent": (absent, 2, ("no such file", "edgeq.save")),
    "truncated": (truncated, 3, ("edgeq.save",)),
    "empty": (empty, 3, ("not an edgeq model",)),
    "text": (text, 3, ("not an edgeq model", "edgeq.save")),
    "a state dict": (bare_state, 3, ("edgeq.save",)),
    "poisoned": (poisoned, 3, ("refused", "execute code", "edgeq.save")),
    "NaN": (with_nan, 3, ("NaN",)),
    "unknown layers": (unknown_layers, 3, ("layers[0]", "'attention'", "layers[1]", "'celu'")),
    "no kernel": (no_kernel, 3, ("body.0 (Conv2d", "body.1 (AvgPool2d")),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_model_file_is_refused(
    name: str, sound: Path, tmp_path: Path, run: Callable[..., Ended]
) -> None:
    spoil, code, parts = BAD_FILES[name]
    path = spoil(sound)
    before = listing(tmp_path)
    ended = run("export", path, "--target", "cortex-m4", "--out", tmp_path / "out")
    assert_refused(ended, code, *parts)
    assert listing(tmp_path) == before, "something was written, or the file ran"


def test_an_oversized_model_file_is_refused(
    sound: Path, tmp_path: Path, run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    with sound.open("r+b") as file:
        file.truncate(archive.MAX_BYTES + 1)  # a hole: takes no room on the disk
    ended = run("export", sound, "--target", "cortex-m4", "--out", tmp_path / "out")
    assert_refused(ended, 3, "bytes; the limit is 536,870,912")
    assert listing(tmp_path) == {"model.pt"}


# --- target, fit and tools


def test_an_unknown_target_lists_what_there_is(
    sound: Path, tmp_path: Path, run: Callable[..., Ended]
) -> None:
    ended = run("export", sound, "--target", "cortex-m9", "--out", tmp_path / "out")
    assert_refused(ended, 2, "'cortex-m9'", "cortex-m4", "nucleo_f446re")
    assert listing(tmp_path) == {"model.pt"}


def test_what_does_not_fit_is_refused_with_the_numbers(
    tmp_path: Path, run: Callable[..., Ended]
) -> None:
    body = nn.Sequential(nn.Linear(900, 900, 8), nn.ReLU(), nn.Linear(900, 2, 8))
    edgeq.save(nn.Model(body, (900,), calibration=rows(900)), tmp_path / "m.pt")
    arguments = ("--target", "nucleo_f446re", "--method", "minmax", "--out", tmp_path / "out")
    ended = run("export", tmp_path / "m.pt", *arguments)
    assert_refused(ended, 4, "nucleo_f446re", "524,288 B", "largest: body.0", "larger board")
    assert listing(tmp_path) == {"m.pt"}


def test_no_compiler_names_the_next_step(
    sound: Path, tmp_path: Path, run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        compiler_module.importlib.util,
        "find_spec",
        lambda name, *more: None if name == "ziglang" else find(name, *more),
    )
    ended = run("export", sound, "--target", "cortex-m4", "--out", tmp_path / "out")
    assert_refused(ended, 7, "no cross compiler", "pip install ziglang")
    assert listing(tmp_path) == {"model.pt"}


# --- calibration


def npz(name: str, **arrays: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        np.savez(folder / name, **arrays)
        return folder / name

    return write


def plain(name: str, data: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return write


def pickled(folder: Path) -> Path:
    np.savez(folder / "p.npz", x=np.array([_Payload(folder / "executed")], dtype=object))
    return folder / "p.npz"


NAN = np.where(np.arange(ROWS * 4).reshape(ROWS, 4) == 7, np.nan, rows())
BAD_CALIBRATION: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "wrong shape": (npz("c.npz", x=rows(5)), ("(24, 5)", "(N, 4)")),
    "one row without its axis": (npz("c.npz", x=rows()[0]), ("(4,)", "(N, 4)")),
    "empty": (npz("c.npz", x=rows()[:0]), ("empty", "(N, 4)")),
    "constant": (npz("c.npz", x=np.ones((8, 4), np.float32)), ("constant",)),
    "NaN": (npz("c.npz", x=NAN), ("NaN",)),
    "infinite": (npz("c.npz", x=np.where(np.isnan(NAN), np.inf, NAN)), ("infinite",)),
    "words": (npz("c.npz", x=np.array([["a"] * 4] * 8)), ("not numbers",)),
    "no key x": (npz("c.npz", data=rows()), ("keys data, not x", "np.savez")),
    "a text file": (plain("c.npz", b"1 2 3\n"), ("keys x",)),
    "an empty file": (plain("c.npz", b""), ("keys x",)),
    "pickled objects": (pickled, ("keys x",)),
    "absent": (lambda folder: folder / "absent.npz", ("No such file", "keys x")),
    "a folder": (lambda folder: folder, ("keys x",)),
}


@pytest.mark.parametrize("name", BAD_CALIBRATION)
def test_bad_calibration_data_is_refused(
    name: str, sound: Path, tmp_path: Path, run: Callable[..., Ended]
) -> None:
    make, parts = BAD_CALIBRATION[name]
    path, before = make(tmp_path), listing(tmp_path)
    arguments = ("--target", "cortex-m4", "--out", tmp_path / "out", "--calibration", path)
    assert_refused(run("export", sound, *arguments), 2, *parts)
    assert listing(tmp_path) == before


def test_a_model_without_calibration_names_the_flag(
    tmp_path: Path, run: Callable[..., Ended]
) -> None:
    edgeq.save(model(), tmp_path / "m.pt")
    ended = run("export", tmp_path / "m.pt", "--target", "cortex-m4", "--out", tmp_path / "out")
    assert_refused(ended, 2, "stores no calibration set", "--calibration")
    assert listing(tmp_path) == {"m.pt"}


# --- the output folder


def test_a_folder_with_other_files_is_left_alone(
    sound: Path, tmp_path: Path, run: Callable[..., Ended]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("precious")
    assert_refused(run("export", sound, "--target", "cortex-m4", "--out", out), 2, "--out")
    assert listing(tmp_path) == {"model.pt", "out", "out/thesis.tex"}


@pytest.mark.parametrize("below", ["", "deeper"])
def test_an_out_that_is_a_file_is_refused(
    below: str, sound: Path, tmp_path: Path, run: Callable[..., Ended]
) -> None:
    (tmp_path / "out").write_text("a file")
    ended = run("export", sound, "--target", "cortex-m4", "--out", tmp_path / "out" / below)
    assert_refused(ended, 2, "--out")
    assert (tmp_path / "out").read_text() == "a file"
    assert listing(tmp_path) == {"model.pt", "out"}


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc, which nobody can write to")
def test_an_out_that_cannot_be_written_is_refused(sound: Path, run: Callable[..., Ended]) -> None:
    ended = run("export", sound, "--target", "cortex-m4", "--out", "/proc/edgeq/out")
    assert_refused(ended, 2, "cannot write", "--out")


def test_usage_errors_end_with_2(sound: Path, run: Callable[..., Ended]) -> None:
    assert run("export", sound).code == 2
    assert run("export", sound, "--target", "cortex-m4", "--method", "guess").code == 2
    assert run("conquer").code == 2


def test_an_interrupt_leaves_nothing_and_ends_with_130(
    sound: Path, tmp_path: Path, run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeq.estimating import costed

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(costed, "build", interrupted)
    ended = run("export", sound, "--target", "cortex-m4", "--out", tmp_path / "out")
    assert (ended.code, ended.out) == (130, "")
    assert ended.err.strip() == "edgeq: interrupted"  # click ends the line of the ^C first
    assert listing(tmp_path) == {"model.pt"}


def test_an_interrupt_while_writing_keeps_the_earlier_export(
    sound: Path, tmp_path: Path, run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeq import export_folder
    from edgeq.firmware_project import FirmwareProject

    out = tmp_path / "out"
    out.mkdir()
    (out / export_folder.MARK).write_text('{"model_digest": "earlier"}')

    def interrupted(_self: FirmwareProject, folder: Path) -> None:
        folder.mkdir()
        raise KeyboardInterrupt

    artifacts = export_folder.Artifacts({}, FirmwareProject({"main.c": b""}), {}, {})
    monkeypatch.setattr(FirmwareProject, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_folder.write_export(out, artifacts)
    assert listing(tmp_path) == {"model.pt", "out", f"out/{export_folder.MARK}"}
    assert json.loads((out / export_folder.MARK).read_text())["model_digest"] == "earlier"


# --- what scripts rely on

KEYS = {
    "schema",
    "target",
    "artifacts",
    "flash_bytes",
    "ram_bytes",
    "arena_bytes",
    "layers",
    "experts",
}
LAYER_KEYS = {"name", "op", "kernel", "weight_format", "macs", "weight_bytes"}
CHECK_KEYS = {"name", "samples", "mismatches", "max_lsb", "top1_agreement", "route_agreement"}


def test_json_is_one_object_with_the_documented_keys(
    sound: Path, tmp_path: Path, run: Callable[..., Ended]
) -> None:
    out = tmp_path / "out"
    ended = run("export", sound, "--target", "cortex-m4", "--out", out, "--json")
    if ended.code == 7:
        pytest.skip(ended.err)
    assert ended.code == 0, ended.err
    report = json.loads(ended.out)
    assert set(report) >= KEYS | {"checks"}
    assert [layer["op"] for layer in report["layers"]] == ["fully_connected"] * 2
    assert all(set(layer) >= LAYER_KEYS for layer in report["layers"])
    assert [check["name"] for check in report["checks"]] == ["model", "firmware", "onnx", "tflite"]
    assert all(set(check) >= CHECK_KEYS for check in report["checks"])
    assert report["flash_bytes"] > sum(layer["weight_bytes"] for layer in report["layers"])
    assert json.loads((out / "export.json").read_text()) == report
    for name in report["artifacts"].values():
        assert (out / name).exists()
    assert (out / "firmware" / "Makefile").is_file()
    assert not [name for name in listing(tmp_path) if "/." in name and "edgeq-firmware" not in name]


def test_an_export_for_size_takes_the_plain_kernels(sound: Path, tmp_path: Path) -> None:
    from edgeq import pipeline
    from edgeq.errors import BadInput, Toolchain
    from edgeq.export_request import OBJECTIVES

    with pytest.raises(BadInput, match=r"objective 'speed' is not one of latency, size"):
        pipeline.export(sound, "cortex-m4", tmp_path / "no", objective="speed")
    try:
        fast, small = (
            pipeline.export(sound, "cortex-m4", tmp_path / name, objective=name)
            for name in OBJECTIVES
        )
    except Toolchain as error:
        pytest.skip(str(error))
    assert any(layer["kernel"].endswith("_dsp") for layer in fast["layers"])
    assert not any(layer["kernel"].endswith("_dsp") for layer in small["layers"])
    assert small["flash_bytes"] < fast["flash_bytes"]
    assert (fast["objective"], small["objective"]) == OBJECTIVES


def test_an_earlier_export_is_replaced_whole(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeq import export_folder
    from edgeq.firmware_project import FirmwareProject

    project = FirmwareProject({"main.c": b"int x;\n"})
    first = export_folder.Artifacts({"model_digest": "1"}, project, {"model.tflite": b"1"}, {})
    export_folder.write_export(tmp_path / "out", first)
    (tmp_path / "out" / "runs" / "0001").mkdir(parents=True)
    second = export_folder.Artifacts({"model_digest": "2"}, project, {"model.onnx": b"2"}, {})
    export_folder.write_export(tmp_path / "out", second)
    assert listing(tmp_path) == {
        "model.pt",
        "out",
        "out/export.json",
        "out/firmware",
        "out/firmware/.edgeq-firmware",
        "out/firmware/main.c",
        "out/model.onnx",
        "out/runs",  # what was measured outlives the export
        "out/runs/0001",
    }
    assert json.loads((tmp_path / "out" / export_folder.MARK).read_text()) == {"model_digest": "2"}


def test_the_command_line_starts_without_the_heavy_packages() -> None:
    heavy = ("torch", "onnx", "onnxruntime", "tensorflow", "ai_edge_litert", "unicorn")
    code = f"import sys, edgeq.cli; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_S
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
