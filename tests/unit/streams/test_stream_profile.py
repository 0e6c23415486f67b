"""`edgeq profile --stream`: recordings cut into hops, and figures of a second of it."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import edgeq
from edgeq.board import load_board
from edgeq.errors import BadInput, UnsupportedOp
from edgeq.harness.profile_summary import NO_COUNTER
from edgeq.harness.record import SampleRecord
from edgeq.harness.stream_figures import StreamFigures
from edgeq.ir import Graph, Stream
from edgeq.passes.select_kernels import select_kernels
from edgeq.passes.stream import stream, timing
from edgeq.reference import quantize_rows
from edgeq.reporting.power import power
from edgeq.reporting.profile_text import profile_text
from edgeq.reporting.run import finished_run
from edgeq.reporting.stream import stream_entry, stream_words
from edgeq.stream_samples import read_recording
from tests.port_graphs import with_delay
from tests.stream_graphs import FRAMES, window_graph

ENERGY = load_board("virtual_m4").energy


def step(axis: int) -> Graph:
    graph = window_graph(1, axis)
    return select_kernels(stream(graph, 2 * timing(graph).step, period_s=0.01), frozenset())


def saved(folder: Path, x: np.ndarray) -> Path:
    np.savez(folder / "x.npz", x=x)
    return folder / "x.npz"


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("several", [False, True])
def test_a_recording_is_cut_into_hops(axis: int, several: bool, tmp_path: Path) -> None:
    """In the order of the model, channels first; what fills no hop is left."""
    graph = step(axis)
    assert graph.stream is not None
    hop, frames = graph.stream.hop, 5 * FRAMES + 1
    own = (4, frames, 3) if axis == 0 else (4, frames)
    x = np.random.default_rng(0).normal(size=(2, *own) if several else own).astype(np.float32)
    shape = [4, hop, 3] if axis == 0 else [4, hop]
    samples = read_recording(saved(tmp_path, x), {"input_shape": shape}, graph)
    joined = np.concatenate(list(x), axis=1) if several else x
    assert len(samples.rows) == joined.shape[1] // hop
    for at in (0, len(samples.rows) - 1):
        cut = joined[:, at * hop : (at + 1) * hop]
        row = cut.transpose(1, 2, 0) if axis == 0 else cut.T[None]
        np.testing.assert_array_equal(samples.rows[at], quantize_rows(graph, row[None])[0])
    assert samples.task == "unlabelled"


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((4, 100, 2), r"give a recording \(4, frames, 3\), or several \(N, 4, frames, 3\)"),
        ((100,), "give a recording"),
        ((3, 2, 4, 100, 3), "give a recording"),
        ((0, 4, 100, 3), "give a recording"),
        ((4, FRAMES - 1, 3), "the first answer takes 14"),
        ((4, 1, 3), "holds 1 frames"),
    ],
)
def test_another_recording_is_refused(shape: tuple[int, ...], said: str, tmp_path: Path) -> None:
    graph = step(0)
    assert graph.stream is not None
    report = {"input_shape": [4, graph.stream.hop, 3]}
    with pytest.raises(BadInput, match=said):
        read_recording(saved(tmp_path, np.zeros(shape, np.float32)), report, graph)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("hop", [1, 3, FRAMES])
def test_windows_are_the_newest_frames_of_each_hop(axis: int, hop: int, tmp_path: Path) -> None:
    graph = window_graph(1, axis)
    frames = 2 * FRAMES + 1
    own = (4, frames, 3) if axis == 0 else (4, frames)
    x = np.random.default_rng(0).normal(size=own).astype(np.float32)
    shape = [4, FRAMES, 3] if axis == 0 else [4, FRAMES]
    report = {"input_shape": shape, "deadline": {"hop_s": 0.5}}
    samples = read_recording(saved(tmp_path, x), report, graph, hop)
    assert len(samples.rows) == (frames - FRAMES) // hop + 1
    assert samples.stream is not None
    assert (samples.begins, samples.stream.hop, samples.stream.window) == (0, hop, FRAMES)
    assert samples.stream.period_s == pytest.approx(0.5 / hop)
    for at, row in enumerate(samples.rows):
        cut = x[:, at * hop : at * hop + FRAMES]
        wanted = cut.transpose(1, 2, 0) if axis == 0 else cut.T[None]
        np.testing.assert_array_equal(row, quantize_rows(graph, wanted[None])[0])
    untimed = read_recording(saved(tmp_path, x), {"input_shape": shape}, graph, hop).stream
    assert untimed is not None
    assert untimed.period_s is None


def test_a_hop_that_is_missing_or_none_of_the_model_s_is_refused(tmp_path: Path) -> None:
    x, graph = saved(tmp_path, np.zeros((4, 40, 3), np.float32)), window_graph(1, 0)
    report = {"input_shape": [4, FRAMES, 3]}
    with pytest.raises(BadInput, match=r"--hop N how many frames .* windows with --data"):
        read_recording(x, report, graph)
    for hop in (0, FRAMES + 1):
        with pytest.raises(BadInput, match=f"1 to {FRAMES}, which is the whole window"):
            read_recording(x, report, graph, hop)
    with pytest.raises(BadInput, match="this export takes hops of 8; leave --hop out"):
        read_recording(x, {"input_shape": [4, 8, 3]}, stream(graph, 8), 2)
    short = saved(tmp_path, np.zeros((4, FRAMES - 1, 3), np.float32))
    with pytest.raises(BadInput, match="the first answer takes"):
        read_recording(short, report, graph, 1)
    with pytest.raises(UnsupportedOp, match="no axis of time"):
        read_recording(x, {"input_shape": [6]}, with_delay(), 1)


def record(
    index: int, cycles: int, output: tuple[int, ...], route: int = -1, doubt: float = 0.0
) -> SampleRecord:
    return SampleRecord(
        index=index, label=None, output=output, route=route, uncertainty=doubt, confidence=0.0,
        cycles=cycles, stack_bytes=0, layer_cycles=(cycles,), mismatch=False,
    )  # fmt: skip


def test_figures_by_hand() -> None:
    """Hops of two frames of 10 ms at 1 MHz: three, of which the first brings no answer."""
    assert ENERGY is not None
    records = [record(0, 1000, (9, 0)), record(1, 2000, (1, 2)), record(2, 6000, (3, 2))]
    entry = stream_entry(Stream(2, 4, 0, 0.01), records, 2, 10**6, ENERGY, "modelled")
    figures = StreamFigures.model_validate(entry)
    assert (figures.hops, figures.answers, figures.changes) == (3, 2, 1)
    assert (figures.cycles_a_hop, figures.cycles_a_frame) == (3000, 1500)
    assert (figures.worst_cycles, figures.worst_hop) == (6000, 2)
    assert figures.duty_cycle == pytest.approx(0.003 / 0.02)
    assert figures.worst_share == pytest.approx(0.006 / 0.02)
    idle = (ENERGY.idle_w or 0) * 0.017
    wanted = (3000 * ENERGY.nj_per_cycle * 1e-9 + idle) / 0.02
    assert figures.joules_a_second == pytest.approx(wanted)
    assert figures.joules_band is not None
    assert figures.joules_band[0] < wanted < figures.joules_band[1]
    said = dict(stream_words(figures))
    assert said["worst hop"] == "6,000 cycles (hop 2)"
    assert said["busy"] == "15.00% of the time, 30.00% in the worst hop"
    assert said["power"].startswith(f"{1e3 * wanted:.4g} mW mean [")
    assert ("idling not counted" in said["power"]) == (ENERGY.idle_w is None)


def test_a_core_that_never_sleeps_takes_its_own_power_and_no_more() -> None:
    """Hops of 10 ms that take 25 ms: without an end of the hop in sight, a second is a second."""
    assert ENERGY is not None
    entry = power([25_000] * 2, 0.01, 10**6, ENERGY, "modelled")
    assert entry["joules_a_second"] == pytest.approx(ENERGY.nj_per_cycle * 1e-9 * 10**6)
    assert power([1], 0.01, 10**6, ENERGY, NO_COUNTER) == power([], 0.01, 1, ENERGY, "modelled")
    assert power([1], None, 10**6, ENERGY, "modelled")["joules_a_second"] is None


def test_routes_and_doubts_by_hand() -> None:
    """Of the records with an answer alone; a row without experts has none of it."""
    told = [(1, 9.0), (0, 0.25), (0, 0.5), (1, 1.0), (0, 0.25)]
    records = [record(i, 1, (1, 2), *each) for i, each in enumerate(told)]
    asked = Stream(2, 4), records, 2, 10**6, None, "modelled"
    figures = StreamFigures.model_validate(stream_entry(*asked, ["narrow", "wide"]))
    assert figures.routes == {"narrow": 3, "wide": 1}
    assert figures.switches == 2
    assert figures.uncertainty is not None
    assert (figures.uncertainty.mean, figures.uncertainty.max) == (0.5, 1.0)
    said = dict(stream_words(figures))
    assert said["routes"] == "narrow 3, wide 1; 2 times another one than before"
    assert said["doubt"].startswith("0.5 mean")
    assert "routes" not in stream_entry(*asked)
    every = StreamFigures.model_validate(stream_entry(*asked, ["narrow", "wide"], 0))
    assert (every.answers, every.switches) == (5, 3)


def test_what_nobody_knows_is_none() -> None:
    records = [record(0, 0, (1, 2)), record(1, 0, (1, 2))]
    entry = stream_entry(Stream(1, 1), records, 2, 10**6, None, "none")
    unknown = ("cycles_a_hop", "worst_cycles", "duty_cycle", "joules_a_second", "joules_band")
    assert {entry[key] for key in unknown} == {None}
    said = dict(stream_words(StreamFigures.model_validate(entry)))
    assert "frame_s" in said["time"]
    assert "busy" not in said


def test_a_recording_through_the_virtual_board(tmp_path: Path) -> None:
    """Seconds of it: no mismatch, figures in the summary, on the terminal and in the folder."""
    import torch

    from edgeq import nn

    torch.manual_seed(0)
    x = np.random.default_rng(1).normal(size=(60, 4, 9)).astype(np.float32)
    body = nn.Sequential(
        nn.Conv1d(4, 4, 3, "int8", groups=4), nn.ReLU(), nn.Flatten(), nn.Linear(28, 3, "int8")
    )
    model = nn.Model(body, (4, 9), name="ears", calibration=x, frame_s=0.02)
    model.calibrate(x)
    edgeq.export(model, "virtual_m4", tmp_path / "ears", stream="hop=40ms")
    street = np.random.default_rng(2).normal(size=(4, 81)).astype(np.float32)
    flashed = edgeq.flash("virtual_m4", tmp_path / "ears")
    try:
        summary = edgeq.profile(
            flashed["port"], tmp_path / "ears", stream=saved(tmp_path, street), run=tmp_path / "run"
        )
    finally:
        edgeq.stop(flashed["port"])
    assert (summary["samples"], summary["mismatches"]) == (40, 0)
    found = summary["stream"]
    assert (found["hops"], found["answers"], found["hop"]) == (40, 36, 2)
    assert 0 < found["duty_cycle"] <= found["worst_share"] < 0.1
    kept = finished_run(tmp_path / "run")[1]
    file = io.StringIO()
    Console(file=file, width=80, color_system=None).print(profile_text(kept))
    assert "cycles a frame" in file.getvalue()
