"""`edgeq export`: targets and tools, the output folder, what scripts rely on."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import edgeq
from edgeq import nn
from edgeq.toolchain import compiler as compiler_module
from tests.command_line import Ended
from tests.hang import HANG_S
from tests.unit.small_model import assert_refused, listing, rows

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
    assert_refused(ended, 7, "no cross compiler", "pip install 'edgeq[zig]'")
    assert listing(tmp_path) == {"model.pt"}


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
    "arena_bound_bytes",
    "bands",
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

    with pytest.raises(BadInput, match=r"objective 'speed' is not one of latency, measured, size"):
        pipeline.export(sound, "cortex-m4", tmp_path / "no", objective="speed")
    try:
        fast, small = (
            pipeline.export(sound, "cortex-m4", tmp_path / name, objective=name)
            for name in ("latency", "size")
        )
    except Toolchain as error:
        pytest.skip(str(error))
    assert any(layer["kernel"].endswith("_dsp") for layer in fast["layers"])
    assert not any(layer["kernel"].endswith("_dsp") for layer in small["layers"])
    assert small["flash_bytes"] < fast["flash_bytes"]
    assert (fast["objective"], small["objective"]) == ("latency", "size")


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
