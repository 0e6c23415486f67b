"""`edgeq export --stream`: the page's session, its folder verified, its board; what is refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn
from edgeq.arrays import CHANNELS_FIRST, CHANNELS_LAST
from edgeq.bench.networks import NETWORKS, bench_networks
from edgeq.errors import BadInput, Mismatch, ModelFile, UnsupportedOp
from edgeq.export_folder import read_report
from edgeq.ir import Graph, Stream
from edgeq.ops.graph_file import write_graph
from edgeq.passes.stored_graph import stored_graph
from edgeq.sources import source_of
from edgeq.streaming import Streamed, StreamRequest, check_step, hops, streamed, window_of
from tests.pages import run_page


@pytest.fixture(scope="module")
def ears(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the page's session ran."""
    folder = tmp_path_factory.mktemp("page")
    failed, tried = run_page("streams.md", folder)
    assert (failed, tried > 5) == (0, True)
    return folder


def test_the_folder_holds_step_and_window(ears: Path) -> None:
    step, window = stored_graph(ears / "ears" / "graph.npz"), window_of(ears / "ears")
    assert window is not None
    assert step.stream == Stream(1, 20, 0, 0.02, 1)
    assert window.tensors[window.inputs[0]].shape == (1, 20, 8)
    assert step.tensors[step.inputs[0]].shape == (1, 1, 8)
    names = {check["name"]: check["passed"] for check in read_report(ears / "ears")["checks"]}
    assert names == dict.fromkeys(("model", "firmware", "onnx", "tflite", "stream"), True)
    header = (ears / "ears" / "firmware" / "model" / "ears.h").read_text()
    assert "#define EARS_STREAM_WINDOW 20" in header
    assert "int ears_step(ears_context *context, const int8_t *frame, int8_t *output);" in header


def test_verify_proves_the_window_and_the_step(ears: Path, tmp_path: Path) -> None:
    """And sees a window of other numbers."""
    copy = Path(shutil.copytree(ears / "ears", tmp_path / "ears"))
    said = edgeq.verify(copy, model=ears / "ears.pt")
    assert said["passed"]
    assert [c["name"] for c in said["checks"]] == ["model", "firmware", "onnx", "tflite", "stream"]
    window = stored_graph(copy / "window.npz")
    name = next(n for n in window.constants if n.endswith("bias"))
    moved = {name: window.constants[name] + np.int32(1 << 18)}
    write_graph(window.with_constants(moved, {name: window.tensors[name]}), copy / "window.npz")
    step = stored_graph(copy / "graph.npz")
    assert not check_step(step, stored_graph(copy / "window.npz")).passed


def test_hops_are_in_the_order_of_the_model() -> None:
    rows = np.arange(2 * 3 * 5 * 4).reshape(2, 3, 5, 4)
    cut = hops(rows, 1, 2)
    assert cut.shape == (5, 3, 2, 4)
    np.testing.assert_array_equal(cut[0], rows[0, :, :2])
    np.testing.assert_array_equal(cut[2][:, 0], rows[0, :, 4])
    np.testing.assert_array_equal(cut[2][:, 1], rows[1, :, 0])


@pytest.mark.parametrize(
    ("hop", "lookahead", "said"),
    [
        ("2", False, "give hop=N in frames"),
        ("hop=", False, "give hop=N"),
        ("hop=1.5", False, "give hop=N"),
        ("hop=20 parsecs", False, "give a number above 0 with its unit"),
        (None, True, "--lookahead goes with --stream"),
    ],
)
def test_a_hop_that_is_none_is_refused(hop: str | None, lookahead: bool, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        StreamRequest.read(hop, lookahead)


def test_a_time_is_a_whole_number_of_frames() -> None:
    assert StreamRequest("hop=60ms").frames(0.02) == 3
    assert StreamRequest("hop=3").frames(None) == 3
    with pytest.raises(BadInput, match=r"1\.25 frames of 20 ms"):
        StreamRequest("hop=25ms").frames(0.02)
    with pytest.raises(BadInput, match="does not say how long a frame is"):
        StreamRequest("hop=20ms").frames(None)


@pytest.mark.parametrize("frame_s", [0, -1.0, float("nan"), float("inf"), True, "20ms"])
def test_a_period_that_is_none_is_refused(frame_s: object) -> None:
    with pytest.raises(BadInput, match="give the seconds from a frame to the next"):
        nn.Model(nn.Sequential(nn.Linear(4, 2)), (4,), frame_s=frame_s)  # type: ignore[arg-type]


def _conv(padding: tuple[int, int], frame_s: float | None = None) -> nn.Model:
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(20, 2, 12, 3)).astype(np.float32)
    body = nn.Sequential(
        nn.Conv2d(2, 4, (3, 3), "int8", padding=padding),
        nn.ReLU(),
        nn.GlobalAvgPool(),
        nn.Linear(4, 2),
    )
    model = nn.Model(body, (2, 12, 3), calibration=x, frame_s=frame_s, evaluation=(x, [0, 1] * 10))
    model.calibrate(x)
    return model


def _streamed(model: nn.Model, hop: str, *, lookahead: bool = False) -> Streamed:
    request = StreamRequest(hop, lookahead)
    return streamed(source_of(model), request, None, "mse", frozenset())


def test_a_layer_that_looks_ahead_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOp, match=r"body\.0 looks into the future"):
        _streamed(_conv((1, 1)), "hop=1")
    late = _streamed(_conv((1, 1)), "hop=1", lookahead=True)
    assert late.graph.stream == Stream(1, 14, 1)
    assert any("body.0 pad along time" in note for note in late.notes)
    assert check_step(late.graph, late.window.graph).passed
    with pytest.raises(BadInput, match="--lookahead goes with"):
        edgeq.export(_conv((0, 1)), "cortex-m4", tmp_path / "x", lookahead=True)


def test_what_a_stream_says_of_its_model() -> None:
    source = _streamed(_conv((0, 1), 0.01), "hop=20ms")
    assert (source.input_shape, dict(source.inputs)) == ((2, 2, 3), {"input": (2, 2, 3)})
    assert source.layout == CHANNELS_FIRST != CHANNELS_LAST
    assert source.notes == ()
    assert source.evaluation is not None
    assert source.evaluation["x"].shape == (120, 2, 2, 3)
    assert source.rows().shape == (120, 2, 3, 2)


def test_the_period_is_kept_in_the_file(tmp_path: Path) -> None:
    for frame_s in (None, 0.02):
        edgeq.save(_conv((0, 1), frame_s), tmp_path / "m.pt")
        assert edgeq.load(tmp_path / "m.pt").frame_s == frame_s


def _damaged(graph: Graph, **changes: object) -> Graph:
    assert graph.stream is not None
    return replace(graph, stream=replace(graph.stream, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"hop": 0},
        {"hop": 9},
        {"window": 1 << 40},
        {"window": 0},
        {"lookahead": -1},
        {"period_s": 0.0},
        {"period_s": 2},
        {"hop": "1"},
    ],
    ids=str,
)
def test_a_stored_stream_that_is_none_is_refused(
    ears: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    graph = _damaged(stored_graph(ears / "ears" / "graph.npz"), **changes)
    write_graph(graph, tmp_path / "graph.npz")
    if changes == {"period_s": 2}:  # a whole number is a real one
        assert stored_graph(tmp_path / "graph.npz").stream == graph.stream
        return
    with pytest.raises(ModelFile):
        stored_graph(tmp_path / "graph.npz")


@pytest.mark.parametrize("changes", [{"late": 1 << 30}, {"late": -1}, {"axis": 7}], ids=str)
def test_a_stored_history_that_is_none_is_refused(
    ears: Path, tmp_path: Path, changes: dict[str, int]
) -> None:
    graph = stored_graph(ears / "ears" / "graph.npz")
    nodes = [
        replace(n, attrs=replace(n.attrs, **changes)) if n.op == "History" else n
        for n in graph.nodes
    ]
    write_graph(graph.with_nodes(nodes), tmp_path / "graph.npz")
    with pytest.raises(ModelFile, match="keeps"):
        stored_graph(tmp_path / "graph.npz")


def test_an_export_whose_step_is_wrong_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted: the pass leaves a cell out."""
    from edgeq import streaming

    true = streaming.check_stream
    monkeypatch.setattr(
        streaming,
        "check_stream",
        lambda step, window, axis: replace(true(step, window, axis), passed=False),
    )
    with pytest.raises(Mismatch, match="stream: "):
        edgeq.export(_conv((0, 1)), "cortex-m4", tmp_path / "out", stream="hop=1")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def wake_word_cycles(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Of a frame, in the streaming wake word topology of MLPerf Tiny."""
    network = NETWORKS["sww"]
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(16, *network.shape)).astype(np.float32)
    model = nn.Model(network.build("int8"), network.shape, name="sww", calibration=x)
    model.calibrate(x)
    folder = tmp_path_factory.mktemp("sww") / "sww"
    report = edgeq.export(model, "virtual_m4", folder, stream="hop=1")
    (route,) = report["estimate"]["routes"]
    cycles: int = route["cycles"]
    return cycles


def test_the_wake_word_takes_few_cycles_a_frame(wake_word_cycles: int) -> None:
    assert wake_word_cycles <= 120_000


@pytest.mark.full
def test_its_window_takes_eight_times_that(wake_word_cycles: int) -> None:
    (row,) = bench_networks("virtual_m4", "sww", "int8")["networks"]
    assert row["cycles"] >= 8 * wake_word_cycles


@pytest.mark.full
@pytest.mark.parametrize("board", ["virtual_m4", "qemu_mps2_an386"])
def test_a_board_hears_the_sequence(ears: Path, board: str, tmp_path: Path) -> None:
    if board.startswith("qemu") and shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is absent")
    copy = Path(shutil.copytree(ears / "ears", tmp_path / "ears"))
    x = np.random.default_rng(3).normal(size=(50, 8, 1)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    flashed = edgeq.flash(board, copy)
    try:
        summary = edgeq.profile(flashed["port"], copy, tmp_path / "x.npz")
    finally:
        edgeq.stop(flashed["port"])
    assert (summary["samples"], summary["mismatches"]) == (50, 0)
