"""examples/esc10: the stored checkpoint on the virtual board; in full, training and every clip."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edgeq import flashers, pipeline
from edgeq.arrays import channels_last
from edgeq.board import load_board
from edgeq.emit.firmware import firmware_project
from edgeq.emit.onnx_check import run_onnx
from edgeq.emit.tflite_check import run_tflite
from edgeq.errors import BadInput, Toolchain
from edgeq.estimating import estimate_boards, of_folder
from edgeq.firmware_project import FirmwareProject
from edgeq.frontend.torch_loader import graph_of
from edgeq.memory import plan_memory
from edgeq.nn import load
from edgeq.ops.graph_file import read_graph
from edgeq.passes import quantize
from edgeq.reference import quantize_rows, run
from edgeq.reporting.markdown import END, START, write_table
from edgeq.toolchain import build, find_compiler, with_board
from edgeq.weights import pack_weights
from tests.acceptance.boards import qemu_batch, stream, virtual_board
from tests.neighbours import script

FOLDER = Path(__file__).parents[2] / "examples" / "esc10"
CHECKPOINT = FOLDER / "checkpoint.pt"
TWIN_CLIPS = 2
SYSTICK_WRAP = 1 << 24
ARENA_BYTES, FLASH_BYTES, MACS = 96 * 1024, 256 * 1024, 15_000_000


@pytest.fixture(scope="module")
def example() -> Iterator[ModuleType]:
    """esc10.py as a module, with its neighbours."""
    with script(FOLDER, "esc10") as module:
        yield module


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("esc10")


@pytest.fixture(scope="module")
def fold5(example: ModuleType, data: Path, cache: Path) -> Any:
    return example.load_clips(data, cache, fold=5)


@pytest.fixture(scope="module")
def checkpoint() -> Path:
    if not CHECKPOINT.is_file():
        pytest.skip(f"{CHECKPOINT.name} is absent: esc10.py --store --write-table makes it")
    return CHECKPOINT


@pytest.fixture(scope="module")
def exported(cache: Path, checkpoint: Path) -> Path:
    """The stored checkpoint, exported for the virtual board."""
    pipeline.export(checkpoint, "virtual_m4", cache / "export")
    return cache / "export"


@pytest.mark.full
def test_ten_clips_on_the_virtual_board(
    example: ModuleType, data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    arguments = ["--data", str(data), "--out", str(tmp_path), "--checkpoint", str(checkpoint)]
    assert example.main([*arguments, "--clips", "10"]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["profile"]["samples"] == 10
    assert results["profile"]["mismatches"] == 0
    assert sum(e["count"] for e in results["profile"]["experts"]) == 10
    assert results["profile"]["latency"]["source"] == "modelled"
    assert results["board"] == "nucleo_f446re"
    assert results["export"]["arena_bytes"] <= ARENA_BYTES
    assert results["export"]["flash_bytes"] <= FLASH_BYTES
    assert results["macs_per_clip"] <= MACS


def test_a_promise_on_the_clips_that_no_training_saw_is_refused_with_the_rows_needed(
    example: ModuleType, data: Path, tmp_path: Path
) -> None:
    """One clip of a recording counts, and a fifth of 320 clips is no 149 recordings."""
    stored = example.STORED["cascade"]
    record = json.loads(stored.with_suffix(".json").read_text())
    options = example.parser().parse_args(["--out", str(tmp_path)])
    said = example.refusal(data, options, stored, record)
    groups = record["held_recordings"]
    assert said.startswith(f"held.npz holds {groups} different rows from {groups} groups; ")
    assert "below 0.02 with 0.95 confidence takes 149 rows even if none disagrees" in said
    assert not (tmp_path / "no").exists()


def test_the_cascade_is_the_studys_choice_and_saw_no_test_clip(example: ModuleType) -> None:
    record = json.loads(example.STORED["cascade"].with_suffix(".json").read_text())
    model = load(example.STORED["cascade"])
    width, kind, share = example.cascade.chosen()
    first = f"{example.single.WIDTHS[width]} {kind}"
    assert (record["networks"], record["share"]) == ([first, "full int8"], share)
    assert tuple(model.body.names) == example.cascade.NAMES
    assert not [name for name in record["calibration_clips"] if name.startswith("5-")]
    assert len(model.calibration) == len(record["calibration_clips"])


@pytest.mark.parametrize("name", ["cascade", ""])
def test_the_readme_holds_the_tables_of_the_runs(example: ModuleType, name: str) -> None:
    table = sys.modules["table"]
    told = json.loads(table.RUNS[name].read_text())
    assert table.markdown(told) in (FOLDER / "README.md").read_text()


def test_the_table_of_the_cascade_says_what_is_missed(example: ModuleType) -> None:
    table = sys.modules["table"]
    told = json.loads(table.RUNS["cascade"].read_text())
    assert any("takes 149 rows" in value for _, value, _ in told["rows"])
    study = json.loads(table.STUDY.read_text())
    assert ("MISSED" in table.markdown(told)) is not study["a_shown"]


@pytest.mark.full
def test_clips_through_the_stored_cascade(example: ModuleType, data: Path, tmp_path: Path) -> None:
    arguments = ["--data", str(data), "--out", str(tmp_path), "--clips", "10"]
    stored = str(example.STORED["cascade"])
    assert example.main([*arguments, "--checkpoint", stored]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["profile"]["mismatches"] == 0
    assert "takes 149 rows" in results["promise"]["refused"]
    curve = results["profile"]["alone"]["curve"]
    assert curve["signal"] == "gap"
    assert results["profile"]["accuracy"] == curve["shipped"]["accuracy"]


@pytest.mark.full
@pytest.mark.parametrize("kind", ["gcc", "zig"])
def test_the_time_of_every_route_is_proven(exported: Path, kind: str) -> None:
    """Its kernels share a header, so static functions of one name stand in several units."""
    try:
        compiler = find_compiler(kind)  # type: ignore[arg-type]
    except Toolchain as error:
        pytest.skip(str(error))
    boards = (load_board("virtual_m4"),)
    result = estimate_boards(of_folder(exported), boards, compiler, prove=True)
    proof = result["boards"][0]["constant_time"]
    assert proof["core_cycles"] == "proven", proof["said"]
    assert proof["trace"]["chooses_experts"] == 1


def test_without_data_the_next_step_is_named(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    assert example.main(arguments) == 2
    assert "git clone https://github.com/karolpiczak/ESC-50" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_unset_variable_and_no_folder(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("EDGEQ_DATA", raising=False)
    assert example.main([]) == 2
    assert "pass --data DIR" in capsys.readouterr().err


def test_a_table_without_clips_and_a_clip_that_is_gone(example: ModuleType, tmp_path: Path) -> None:
    table = tmp_path / "esc50.csv"
    table.write_text("filename,fold,target,esc10,src_file\na.flac,1,0,False,7\n")
    with pytest.raises(BadInput, match=r"lists no ESC-10 clips"):
        example.load_clips(tmp_path)
    table.write_text("filename,fold,target,esc10,src_file\na.flac,1,0,True,7\n")
    with pytest.raises(BadInput, match=r"a\.flac"):
        example.load_clips(tmp_path)
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "a.flac").write_bytes(b"no sound")
    with pytest.raises(BadInput, match=r"cannot be read as audio"):
        example.load_clips(tmp_path)


def test_a_tone_lights_the_band_at_its_frequency(example: ModuleType) -> None:
    features = sys.modules["features"]
    seconds = np.arange(features.CLIP_SAMPLES) / features.SAMPLE_RATE_HZ
    peak = features.mel_filters().argmax(axis=1) * features.SAMPLE_RATE_HZ / features.FFT
    for band in (10, 30, 50):
        found = features.log_mel(np.sin(2 * np.pi * peak[band] * seconds))
        assert found.shape == features.SHAPE
        assert (found[0].argmax(axis=0) == band).all()


def test_the_validation_part_shares_no_recording_and_no_test_clip(example: ModuleType) -> None:
    features, train = sys.modules["features"], sys.modules["train"]
    y, fold = np.tile(np.arange(10), 40), np.repeat(np.arange(1, 6), 80)
    clips = features.Clips(
        np.zeros((400, 1, 1, 1), np.float32), y, fold, np.arange(400) // 20 * 10 + y, ("",) * 400
    )
    learn, check = train.train_and_validation(clips, seed=3)
    assert not set(learn.source) & set(check.source)
    assert 5 not in learn.fold
    assert 5 not in check.fold
    assert len(learn.y) + len(check.y) == 320
    assert np.bincount(check.y, minlength=10).min() >= train.VALIDATION_PER_CLASS


def test_the_readme_holds_the_table_of_the_script(tmp_path: Path) -> None:
    text = (FOLDER / "README.md").read_text()
    held = text.partition(START)[2].partition(END)[0]
    assert "| accuracy, 80 samples |" in held
    readme = tmp_path / "README.md"
    readme.write_text(text)
    write_table(readme, "| new |")
    assert readme.read_text() == text.replace(held, "\n| new |\n")
    readme.write_text("no marks")
    with pytest.raises(BadInput, match="marks"):
        write_table(readme, "| new |")
    assert readme.read_text() == "no marks"


@pytest.mark.full
@pytest.mark.parametrize("compiler", ["gcc", "zig"])
def test_every_clip_of_fold_5_on_the_virtual_board(
    compiler: str, example: ModuleType, fold5: Any, exported: Path, tmp_path: Path
) -> None:
    _find(compiler)
    np.savez(tmp_path / "fold5.npz", x=fold5.x, y=fold5.y)
    _, profile = example.measure(exported, tmp_path / "fold5.npz", compiler, len(fold5.y))
    assert profile["samples"] == 80
    assert profile["mismatches"] == 0
    assert profile["accuracy"] >= 0.80
    record = json.loads((FOLDER / "checkpoint.json").read_text())
    assert profile["accuracy"] >= record["float_accuracy"] - 0.03


@pytest.mark.full
@pytest.mark.parametrize("name", ["nucleo_l4r5zi", "nucleo_f446re", "nrf52840dk"])
def test_clips_on_the_virtual_twin_of_a_real_board(
    name: str, fold5: Any, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    np.savez(tmp_path / "clips.npz", x=fold5.x[:TWIN_CLIPS], y=fold5.y[:TWIN_CLIPS])
    flashed = pipeline.flash(name, exported, tool="virtual")
    try:
        profile = pipeline.profile(flashed["port"], exported, tmp_path / "clips.npz")
    finally:
        flashers.stop(str(flashed["pid"]))
    assert (profile["board"], profile["samples"], profile["mismatches"]) == (name, TWIN_CLIPS, 0)
    assert profile["clock_hz"] == load_board(name).clock_hz
    assert profile["latency"]["source"] == "modelled"


@pytest.mark.full
def test_a_clip_on_the_virtual_pico(fold5: Any, checkpoint: Path, tmp_path: Path) -> None:
    """Its kernels are its core's own, so the graph is: an export would also estimate each route."""
    board, model = load_board("rp2040"), load(checkpoint)
    calibration = channels_last(model.calibration)
    graph = quantize(graph_of(model), calibration, "mse", board.features).graph
    project = firmware_project(
        graph, plan_memory(graph), pack_weights(graph), model_name="esc10", digest="ab" * 32
    )
    firmware = build(with_board(project, board), board, find_compiler(), tmp_path)
    rows = quantize_rows(graph, channels_last(fold5.x[:1]))
    expected = run(graph, rows)
    with virtual_board(firmware.elf, board.name) as port:
        answers = stream(port, rows)
    np.testing.assert_array_equal(answers.output, expected.output)
    np.testing.assert_array_equal(answers.route, expected.route)
    assert (answers.cycles > SYSTICK_WRAP).all(), "counted over SysTick's wraps"


@pytest.mark.full
def test_every_clip_of_fold_5_in_qemu(fold5: Any, exported: Path, tmp_path: Path) -> None:
    rows, reference = _reference(exported, fold5.x)
    project = FirmwareProject.read(exported / "firmware")
    answers = qemu_batch(project, _find("auto"), rows, tmp_path)
    np.testing.assert_array_equal(answers.output, reference.output)
    np.testing.assert_array_equal(answers.route, reference.route)


@pytest.mark.full
def test_litert_and_onnxruntime_agree_on_every_clip(
    example: ModuleType, data: Path, cache: Path, exported: Path
) -> None:
    """All five folds: of the 80 clips of one, a single tie of ONNX's float sums is over 1 %."""
    clips = example.load_clips(data, cache)
    rows, reference = _reference(exported, clips.x)
    lite = run_tflite((exported / "model.tflite").read_bytes(), rows)
    onnx = run_onnx((exported / "model.onnx").read_bytes(), clips.x.transpose(0, 2, 3, 1))
    assert len(rows) == 400
    for name, output, route in (
        ("LiteRT", lite.logits, lite.route),
        ("onnxruntime", onnx.output, onnx.route),
    ):
        top1 = output.argmax(axis=1) != reference.output.argmax(axis=1)
        assert top1.mean() <= 0.01, (name, [clips.names[i] for i in np.flatnonzero(top1)])
        other = route != reference.route
        assert other.mean() <= 0.01, (name, [clips.names[i] for i in np.flatnonzero(other)])


@pytest.mark.full
def test_training_end_to_end(example: ModuleType, data: Path, cache: Path) -> None:
    clips = example.load_clips(data, cache)
    trained = sys.modules["train"].train(clips, progress=False)  # its seconds: see the README
    assert trained.accuracy >= 0.80
    assert trained.accuracy >= trained.float_accuracy - 0.03


def _find(compiler: str) -> Any:
    try:
        return find_compiler(compiler)  # type: ignore[arg-type]
    except Toolchain as error:
        pytest.skip(str(error))


def _reference(exported: Path, x: Any) -> tuple[Any, Any]:
    """(int8 rows, what the integer reference answers)."""
    graph = read_graph(exported / "graph.npz")
    rows = quantize_rows(graph, x.transpose(0, 2, 3, 1))
    return rows, run(graph, rows)
