"""A firmware that hears by itself, by the runner's commands: start, detections, stop."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

import edgeq
from edgeq.board import load_board
from edgeq.export_folder import GRAPH, read_project
from edgeq.passes.stored_graph import stored_graph
from edgeq.reference import numbers
from edgeq.sim import BufferPort, Machine
from edgeq.sim.sampling import Sound
from edgeq.toolchain import build, find_compiler, that_captures, with_board
from tests.hang import HANG_S
from tests.unit.listening.test_listen import RATE, ears

HOPS = 14
HUM = 1  # its output


class LatePort(BufferPort):
    """Some of what it says comes only when a time of the guest's clock is reached."""

    def __init__(self, late: bytes, hops: float) -> None:
        super().__init__()
        self._late, self._hops = late, hops
        self.machine: Machine | None = None

    def read(self) -> bytes:
        assert self.machine is not None
        if self.machine.marker_edges and self.machine.clock.cycles > self._hops * self.hop_cycles:
            self.incoming += self._late
            self._late = b""
        return super().read()

    @property
    def hop_cycles(self) -> float:
        assert self.machine is not None
        return self.machine.config.clock_hz * 128 / RATE


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("microphone")
    export = folder / "export"
    edgeq.export(ears(), "nucleo_l4r5zi", export, stream="hop=16ms")
    board = that_captures(load_board("nucleo_l4r5zi"))
    elf = build(with_board(read_project(export), board), board, find_compiler("auto"), folder).elf
    return export, elf


def street() -> np.ndarray:
    rng = np.random.default_rng(1)
    turns = np.repeat([0, 1, 0, 1, 1], RATE // 20)
    tone = np.sin(6283 * np.arange(len(turns)) / RATE)
    return (2**14 * (rng.normal(0, 0.05, len(turns)) + turns * tone)).astype(np.int16)


def session(elf: Path, said: bytes, late: bytes = b"", hops: float = HOPS + 0.5) -> tuple:
    port = LatePort(late, hops)
    machine = Machine(load_board("nucleo_l4r5zi"), port).load(elf).hear(Sound(street(), RATE))
    port.machine = machine
    assert (
        machine.run(deadline_s=HANG_S, max_cycles=60_000_000).reason == "idle"
    )  # what came before is lost
    port.take()
    port.incoming += said
    assert machine.run(deadline_s=HANG_S, max_cycles=60_000_000).reason == "idle"
    return port.take().decode(), machine


def wanted(export: Path) -> list[int]:
    """Hops at which the reference's answer turns to the hum, of what the converter makes."""
    graph = stored_graph(export / GRAPH)
    heard = (street() // 16 * 16)[: HOPS * 128].astype(np.float64)
    rows = heard.reshape(HOPS, 1, 128)
    inputs = graph.tensors[graph.inputs[0]]
    found, above = [], False
    for index, (output, _, _) in enumerate(
        numbers(graph, rows.reshape(HOPS, *inputs.shape[-3:]).astype(np.int16))
    ):
        now = output[HUM] > max(code for at, code in enumerate(output) if at != HUM)
        if now and not above:
            found.append(index)
        above = now
    return found


def test_detections_are_those_of_the_reference_and_the_core_sleeps(made: tuple[Path, Path]) -> None:
    export, elf = made
    text, machine = session(elf, b"profile%stop%" + f"start {RATE} {HUM}%".encode(), b"stop%")
    assert "m-model-[sww01]" in text
    report = dict(re.findall(r"m-([a-z-]+)-(\d+)\r", text.split("m-ready\r\n")[-2]))
    hops = int(report["hops"])
    assert abs(hops - HOPS) <= 1, "between the first hop and stop"
    assert (report["overruns"], report["failed"], report["rate-hz"]) == ("0", "0", str(RATE))
    detected = [int(n) for n in re.search(r"m-detected-\[([\d,]*)\]", text)[1].split(",")]
    assert detected == [at for at in wanted(export) if at < hops]
    assert len(detected) == int(report["detections"]) > 0
    rises = [cycles for cycles, level in machine.marker_edges if level]
    assert len(rises) == 1 + len(detected), "one at the start, as the rules count from it"
    hop = machine.config.clock_hz * 128 / RATE
    for rise, index in zip(rises[1:], detected, strict=True):
        assert index + 1 < (rise - rises[0]) / hop < index + 1.5
    duty = int(report["busy-cycles"]) / (hops * hop)
    slept = machine.profile().functions["(sleep)"] / (hops * hop)
    assert 0 < duty < 0.1
    assert slept > 0.85


def test_a_second_start_begins_anew_and_text_goes_on(made: tuple[Path, Path]) -> None:
    first, _ = session(made[1], f"start {RATE} {HUM}%".encode(), b"stop%")
    again, _ = session(made[1], f"start {RATE} {HUM}%".encode(), b"stop%name%", 6.5)
    assert again.endswith("m-name-dut-[nucleo_l4r5zi]\r\nm-ready\r\n")
    assert "m-detected-[" in first


def said_until(board: subprocess.Popen[bytes], mark: bytes) -> str:
    """What the board says up to `mark`."""
    assert board.stdout is not None
    text = bytearray()
    while not text.endswith(mark):
        byte = board.stdout.read(1)
        assert byte, text
        text += byte
    return text.decode()


def test_a_wav_file_at_the_simulator_is_heard_as_it_is(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    wavfile.write(tmp_path / "street.wav", RATE, street())
    command = [sys.executable, "-m", "edgeq.sim", str(made[1]), "--board", "nucleo_l4r5zi"]
    board = subprocess.Popen(
        [*command, "--stdio", "--json", "--sound", str(tmp_path / "street.wav")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert board.stdin is not None
    hops, heard_for = 0, 0.5
    with board:
        said_until(board, b"m-ready\r\n")
        while hops < HOPS:  # each start hears the file from its beginning
            for said in (f"start {RATE} {HUM}%".encode(), b"stop%"):
                board.stdin.write(said)
                board.stdin.flush()
                text = said_until(board, b"m-ready\r\n")
                time.sleep(heard_for if said != b"stop%" else 0)
            report = dict(re.findall(r"m-([a-z-]+)-(\d+)\r", text))
            hops, heard_for = int(report["hops"]), 2 * heard_for
        board.stdin.close()
        facts = json.loads(board.stderr.read().splitlines()[-1])
    detected = [int(n) for n in re.search(r"m-detected-\[([\d,]*)\]", text)[1].split(",")]
    assert [at for at in detected if at < HOPS] == wanted(made[0])
    assert (facts["reason"], report["overruns"]) == ("idle", "0")
    assert facts["heard_s"] == facts["sound_s"] == len(street()) / RATE


@pytest.mark.parametrize("said", [b"start 100%", b"start 8000 9%", b"start -1%", b"start 8000 -1%"])
def test_what_cannot_be_heard_is_an_error(made: tuple[Path, Path], said: bytes) -> None:
    text, _ = session(made[1], said)
    assert text.endswith("e-[Cannot hear at this rate, or no such output]\r\nm-ready\r\n")
