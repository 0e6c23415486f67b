"""`edgeq listen` on the virtual board: events are the reference's, and what was heard stays."""

import csv
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import wavfile

import edgeq
from edgeq import listening, nn
from edgeq.board import load_board
from edgeq.errors import BadInput, Link
from edgeq.export_folder import GRAPH
from edgeq.listening.events import Ear, Heard
from edgeq.listening.hearing import hearing_of
from edgeq.passes.stored_graph import stored_graph
from edgeq.reference import numbers
from edgeq.sound import read_wav
from tests.hang import HANG_S
from tests.port_graphs import with_delay
from tests.stream_graphs import window_graph
from tests.unit.cli.conftest import ROOT
from tests.unit.harness.lossy_line import LossyLine

RATE, WINDOW = 8000, 64 + 3 * 64
NAMES = ["hiss", "hum"]


def ears() -> nn.Model:
    """Hum has a loud band, hiss has none; weights by hand would say no more than these."""
    torch.manual_seed(0)
    front = nn.LogMel(RATE, window=64, hop=64, fft=256, mels=8, mean=-3.0, std=3.0)
    body = nn.Sequential(front, nn.Flatten(), nn.Linear(8 * 4, 2, "int8"))
    rng, time_s = np.random.default_rng(0), np.arange(WINDOW) / RATE
    y = rng.integers(0, 2, 200)
    x = rng.normal(0, 0.05, (200, 1, WINDOW)) + y[:, None, None] * np.sin(6283 * time_s)
    model = nn.Model(
        body, (1, WINDOW), name="ears", calibration=x.astype(np.float32), class_names=NAMES
    )
    steps = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(30):
        steps.zero_grad()
        wrong = torch.nn.functional.cross_entropy(model(torch.tensor(x).float()), torch.tensor(y))
        wrong.backward()
        steps.step()
    return model


class Board:
    """An export, the virtual board that runs it, and a sound of hiss and hum in turn."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "export"
        edgeq.export(ears(), "virtual_m4", self.folder, stream="hop=16ms")
        self.port = str(edgeq.flash("virtual_m4", self.folder)["port"])
        rng, part = np.random.default_rng(1), RATE // 10
        turns = np.repeat(np.arange(5) % 2, part)
        tone = np.sin(6283 * np.arange(len(turns)) / RATE)
        sound = 0.5 * (rng.normal(0, 0.05, len(turns)) + turns * tone)
        self.wav = folder / "street.wav"
        wavfile.write(self.wav, RATE, (sound * 2**15).astype(np.int16))


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    made = Board(tmp_path_factory.mktemp("board"))
    yield made
    edgeq.stop(made.port)


def wanted(board: Board) -> list[tuple[float, str, str, float]]:
    """The events of the reference's answers."""
    graph = stored_graph(board.folder / GRAPH)
    hearing, ear = hearing_of(graph, None), Ear(NAMES, 0.5)
    rows = np.concatenate(list(hearing.rows(read_wav(board.wav, RATE).samples)))
    found = []
    for index, (output, route, _) in enumerate(numbers(graph, rows)):
        if index >= hearing.first:
            scores = hearing.scores(np.array(output, np.int8))
            found += ear.hear(Heard(index, hearing.heard_s(index), scores, route, 0.0, 0, 0.0))
    return [(e.time_s, e.event, e.name, e.score) for e in found]


def logged(path: Path) -> list[tuple[float, str, str, float]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [(float(r["time_s"]), r["event"], r["class"], float(r["score"])) for r in rows]


def test_the_events_are_those_of_the_reference(board: Board, tmp_path: Path) -> None:
    """By the API, and the log is the summary's."""
    log = tmp_path / "events.csv"
    truth = tmp_path / "windows.json"
    truth.write_text("[[0.1, 0.2]]")  # its second holds both
    frames = tmp_path / "frames.csv"
    said = edgeq.listen(
        board.wav, board.port, board.folder, log=log, pace=False, truth=truth, wake="hum",
        frames=frames,
    )  # fmt: skip
    assert logged(log) == wanted(board)
    with frames.open(newline="") as file:
        kept = list(csv.DictReader(file))
    assert [int(row["hop"]) for row in kept] == list(range(1, 31))
    assert {row["route"] for row in kept} == {"-1"}
    assert "routes" not in said
    counts = said["wake_words"]
    assert (counts["true_positives"], counts["false_negatives"]) == ((0.1,), ())
    assert counts["false_positives"] == ()
    assert [e["name"] for e in said["events"] if e["event"] == "begins"].count("hum") == 2
    assert (said["hops"], said["answers"], said["hop_s"]) == (31, 30, 0.016)
    assert said["heard_s"] == pytest.approx(31 * 0.016)
    assert (said["stopped"], said["late_hops"], said["board_source"]) == (None, None, "modelled")
    assert 0 < said["board_share"] < 1
    energy = load_board("virtual_m4").energy
    asleep = 1e-9 * energy.nj_per_cycle * load_board("virtual_m4").clock_hz * said["board_share"]
    assert said["joules_a_second"] == pytest.approx(asleep), "no idle power is stated"
    assert not said["idle_counted"]
    assert said["real_time_factor"] > 0


def test_at_the_sounds_pace_late_answers_are_counted(board: Board) -> None:
    """A busy computer may be late with every one; it is never ahead of the sound."""
    began = time.monotonic()
    said = edgeq.listen(board.wav, board.port, board.folder)
    assert time.monotonic() - began >= said["heard_s"]
    assert 0 <= said["late_hops"] <= said["hops"]
    assert (said["behind_s"] > 0) <= (said["late_hops"] > 0)


def test_a_line_that_loses_bytes_changes_no_event(board: Board, tmp_path: Path) -> None:
    descriptor = os.open(board.port, os.O_RDWR | os.O_NOCTTY)
    line = LossyLine(descriptor, rate=0.001, seed=3)
    try:
        said = edgeq.listen(board.wav, line.path, board.folder, log=tmp_path / "e.csv", pace=False)
    finally:
        line.close()
        os.close(descriptor)
    assert line.damage > 0
    assert logged(tmp_path / "e.csv") == wanted(board)
    assert said["link"]["retries"] > 0
    assert (said["baud"], said["line_carries"] > 1) == (921_600, True)  # asked for by itself


def test_unplugged_in_the_middle_the_log_stays(board: Board, tmp_path: Path) -> None:
    descriptor = os.open(board.port, os.O_RDWR | os.O_NOCTTY)
    line = LossyLine(descriptor)
    log, ended = tmp_path / "e.csv", list[dict[str, Any]]()

    def pull(event: object) -> None:
        if len(logged(log)) == 3:
            line.close()

    asked = listening.ListenRequest(board.wav, board.folder, line.path, log=log, pace=False)
    try:
        with pytest.raises(Link, match=r"port is gone.* 3 events are kept in"):
            listening.listen(asked, listening.Watch(event=pull, ends=ended.append))
    finally:
        line.close()
        os.close(descriptor)
    assert logged(log) == wanted(board)[:3]
    assert len(ended[0]["events"]) == 3
    assert "port is gone" in ended[0]["stopped"]


def command(board: Board, *more: object) -> list[str]:
    words = ["listen", "--port", board.port, "--firmware", board.folder, "--wav", board.wav, *more]
    return [sys.executable, "-m", "edgeq", *map(str, words)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def test_without_a_terminal_events_are_plain_lines(board: Board) -> None:
    ran = subprocess.run(
        command(board, "--no-pace"), capture_output=True, env=environment(), timeout=HANG_S
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    lines = ran.stdout.decode().splitlines()
    assert "\x1b" not in ran.stdout.decode()
    assert max(map(len, lines)) <= 80
    events = [line.split()[2:4] for line in lines if line.startswith(" ") and " s  " in line]
    assert events == [[event, name] for _, event, name, _ in wanted(board)]
    assert "real time" in ran.stdout.decode()


def test_in_a_terminal_of_eighty_columns(board: Board) -> None:
    """Bars are drawn, events stand above them, no line is wider."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    seen, done = bytearray(), threading.Event()

    def watch() -> None:
        while not done.is_set() or select.select([ours], [], [], 0)[0]:
            if select.select([ours], [], [], 0.05)[0]:
                seen.extend(os.read(ours, 65536))

    thread = threading.Thread(target=watch)
    thread.start()
    env = {**environment(), "TERM": "xterm"}
    env.pop("COLUMNS", None)
    ran = subprocess.run(
        command(board, "--no-pace"), stdin=theirs, stdout=theirs, stderr=theirs, env=env,
        timeout=HANG_S,
    )  # fmt: skip
    done.set()
    thread.join()
    os.close(ours)
    os.close(theirs)
    text = seen.decode()
    assert ran.returncode == 0, text
    assert "█" in text
    assert "begins  hum" in text
    assert max(map(len, without_escapes(text).splitlines())) <= 80


def without_escapes(text: str) -> str:
    """The text without escape sequences, each return of the carriage a new line."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n")


def test_ctrl_c_ends_with_a_summary(board: Board, tmp_path: Path) -> None:
    log = tmp_path / "e.csv"
    with subprocess.Popen(
        command(board, "--json", "--log", log), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(),
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert b"begins" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 130, err
    assert f"edgeq: interrupted; the events so far are in {log}" in err.decode()
    said = json.loads(out)
    assert (said["stopped"], said["log"]) == ("interrupted", str(log))
    assert 0 < said["hops"] < 31
    assert logged(log) == wanted(board)[: len(logged(log))]


def test_another_board_or_folder_is_told(board: Board, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no export"):
        edgeq.listen(board.wav, board.port, tmp_path)
    with pytest.raises(BadInput, match="--hop is of exports of whole windows"):
        edgeq.listen(board.wav, board.port, board.folder, hop="8ms")
    labels = tmp_path / "labels.txt"
    labels.write_text("one\n")
    with pytest.raises(BadInput, match="holds 1 names, the model has 2 classes"):
        edgeq.listen(board.wav, board.port, board.folder, labels=labels)
    wavfile.write(tmp_path / "short.wav", RATE, np.zeros(200, np.int16))
    with pytest.raises(BadInput, match=r"0\.025 s long; the first answer takes 0\.032 s"):
        edgeq.listen(tmp_path / "short.wav", board.port, board.folder)


def test_features_are_refused_with_the_next_step() -> None:
    with pytest.raises(BadInput, match=r"rows of values .*begin the model with nn\.LogMel"):
        hearing_of(with_delay(), None)
    with pytest.raises(BadInput, match=r"not samples of sound; send them with `edgeq profile"):
        hearing_of(window_graph(1, 0), None)
