"""The runner's session with a microphone's firmware, in a pseudo-terminal, by its rules."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile

import edgeq
from edgeq import nn
from edgeq.board import load_board
from edgeq.export_folder import GRAPH
from edgeq.passes.stored_graph import stored_graph
from edgeq.reference import numbers
from tests.emulated.mlperf_runner import Runner

RATE, HOP, BOARD = 16_000, 512, "nucleo_l4r5zi"

pytestmark = pytest.mark.full


def ears() -> nn.Model:
    """Two outputs of a hop and the one before; the first is louder where the sound is."""
    torch.manual_seed(0)
    front = nn.LogMel(RATE, window=512, hop=512, fft=512, mels=8, mean=-3.0, std=3.0)
    dense = nn.Linear(16, 2, "int8")
    dense.weight.data[0], dense.weight.data[1] = 0.2, -0.2
    rng = np.random.default_rng(0)
    loud = np.repeat([0.01, 0.5], 20)[:, None, None]
    x = (loud * rng.normal(0, 0.5, (40, 1, 1024))).clip(-1, 1).astype(np.float32)
    return nn.Model(
        nn.Sequential(front, nn.Flatten(), dense, nn.Softmax()), (1, 1024), name="wake",
        calibration=x,
    )  # fmt: skip


def street() -> np.ndarray:
    """Noise that is loud twice."""
    loud = np.repeat([0.001, 0.5, 0.001, 0.5], 4 * HOP)
    return (2**14 * loud * np.random.default_rng(1).normal(0, 0.5, len(loud))).astype(np.int16)


def wanted(export: Path, hops: int) -> list[int]:
    """Hops at which the reference's first output becomes the largest."""
    heard = (street() // 16 * 16)[: hops * HOP].reshape(-1, 1, HOP, 1)
    graph = stored_graph(export / GRAPH)
    rows = heard.reshape(-1, *graph.tensors[graph.inputs[0]].shape)
    wins = [output[0] > output[1] for output, _, _ in numbers(graph, rows)]
    return [i for i, (before, now) in enumerate(itertools.pairwise([False, *wins])) if now > before]


def test_the_runners_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As its DUT and stream step send it; the marker's edges are what its interface board notes."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    export, marker = tmp_path / "export", tmp_path / "marker.jsonl"
    edgeq.export(ears(), BOARD, export, stream="hop=32ms", mlperf="sww01")
    wavfile.write(tmp_path / "long.wav", RATE, street())
    flashed = edgeq.flash(
        BOARD, export, tool="virtual", microphone=True, sound=tmp_path / "long.wav",
        marker_file=marker,
    )  # fmt: skip
    try:
        with Runner(flashed["port"]) as runner:
            greeting = runner.greet()
            assert (greeting["model"], greeting["name"]) == ("sww01", BOARD)
            assert greeting["profile"].startswith("ULPMark for tinyML")
            before, hops, seconds = 0, 0, 1.0
            while hops < 16:  # of the guest's clock, which a busy computer is slow to emulate
                before = len(marker.read_text().splitlines())
                lines = runner.stream(seconds)
                hops = int(next(filter(None, (re.match(r"m-hops-(\d+)", x) for x in lines)))[1])
                seconds *= 2
            assert lines[-1] == "m-ready"
            assert not [line for line in lines if line.startswith("e-")]
            assert "m-overruns-0" in lines
            assert runner.command("name")[0] == f"m-name-dut-[{BOARD}]"
        edges = [json.loads(line) for line in marker.read_text().splitlines()[before:]]
    finally:
        edgeq.stop(flashed["port"])
    rises = [edge["cycles"] for edge in edges if edge["level"]]
    a_hop = load_board(BOARD).clock_hz * HOP / RATE
    heard = [round((at - rises[0]) / a_hop - 1.25) for at in rises[1:]]
    assert [at for at in heard if at < 16] == wanted(export, 16)
    assert len(wanted(export, 16)) >= 1
