"""`edgeq profile --meter lpm01a` from end to end: a fake meter watches the virtual board's marker.

The board runs the real firmware; the meter is a pty that draws one current while the marker says
busy and another while not, and keeps what it has drawn.
"""

import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeq.board import load_board
from edgeq.errors import BadInput
from edgeq.flashers.usb import USB_KINDS
from edgeq.harness import align
from edgeq.harness.meters import METERS
from edgeq.harness.power_trace import read_current, read_inferences
from edgeq.harness.trace import read_run
from edgeq.harness.windows import Ran, Window
from edgeq.metering import MeterPlan, Repeater, powered, source_of, with_energy
from edgeq.profile_request import ProfileRequest
from edgeq.profiling import profile
from edgeq.reporting.profile import summarize
from edgeq.sim import Machine
from edgeq.sim.port import PtyPort
from edgeq.toolchain.assemble import board_config
from tests.command_line import run_cli
from tests.hang import HANG_S
from tests.tiny_export import tiny_export
from tests.unit.harness.fake_meter import FakeLpm01a, Script
from tests.unit.report.made import RECORDS, subject

RATE, STRETCH = 1000, 0.2e-3  # a cycle of the board is that many seconds of the meter
IDLE_A, BUSY_A, VOLTS = 0.0025, 0.0125, 3.3


@pytest.fixture(scope="module")
def pulsing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export whose firmware marks with pulses."""
    return tiny_export(tmp_path_factory.mktemp("metering") / "export", 24, marker="pulses")


@pytest.fixture
def folder(pulsing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(align, "CLOCK_TOLERANCE", np.inf)  # the meter's seconds are stretched
    return Path(shutil.copytree(pulsing, tmp_path / "export"))


class WatchingMeter(FakeLpm01a):
    """Draws what the marker of a machine says; `planted` has the joules of every busy time."""

    def __init__(self, machine: Machine, skip: int | None = None) -> None:
        super().__init__(Script([], rate_hz=RATE))
        self.machine, self.skip = machine, skip
        self.planted: list[list[float]] = []  # (window, inference)
        self.events = 0

    def stream(self) -> None:
        seen = len(self.machine.marker_edges)
        self.planted.append([])
        samples = 0
        while not self._stop.is_set():
            self._line += self.read(0.002)
            falls = [c for c, level in self.machine.marker_edges[seen:] if level == 0]
            # On a busy machine this thread is late: what was marked before the stop comes first.
            if b"stop\r\n" in self._line and len(falls) < 2:
                return
            busy = round((falls[1] - falls[0]) * STRETCH * RATE) if len(falls) >= 2 else 0
            amps = [BUSY_A] * busy if busy else [IDLE_A] * 20
            edges = [0, busy] if busy else []
            if busy:
                self.planted[-1].append(BUSY_A * VOLTS * busy / RATE)
                seen += 4  # two falls, two rises
            self.send(b"".join(self.some(amps, edges, samples)))
            samples += len(amps)

    def some(self, amps: list[float], edges: list[int], first: int) -> list[bytes]:
        """As `pieces`, for samples that begin with number `first`."""
        out = []
        for index, value in enumerate(amps):
            if (first + index) % RATE == 0:
                out.append(self.stamp(first + index))
            if index in edges:
                out.append(self.event())
            out += self.pieces([value], [])[1:]
        return [*out, self.event()] if edges else out

    def event(self) -> bytes:
        self.events += 1
        return b"" if self.events == self.skip else super().event()


@contextmanager
def bench(folder: Path, skip: int | None = None) -> Iterator[tuple[str, WatchingMeter]]:
    """The board's port, and the meter that watches it."""
    port = PtyPort()
    machine = Machine(load_board("virtual_m4"), port)
    machine.load(folder / "build" / "virtual_m4" / "firmware.elf")
    thread = threading.Thread(target=machine.run, daemon=True)
    thread.start()
    try:
        with WatchingMeter(machine, skip) as meter:
            yield port.path, meter
    finally:
        machine.stop()
        thread.join(HANG_S)
        port.close()


def profile_words(port: str, meter: WatchingMeter, folder: Path) -> list[str]:
    words = ["profile", "--port", port, "--firmware", str(folder), "--json", "--limit", "9"]
    return [*words, "--meter", "lpm01a", "--meter-port", meter.path, "--meter-rate", str(RATE),
            "--windows", "3"]  # fmt: skip


def weighted(routes: list[int], joules: list[float], shares: list[float]) -> float:
    """Each expert's mean, by its share of the data set."""
    by_route = {r: [j for k, j in zip(routes, joules, strict=True) if k == r] for r in set(routes)}
    return sum(shares[r] * sum(js) / len(js) for r, js in by_route.items())


def test_energy_is_what_flowed_between_the_marker_edges(folder, monkeypatch, capsys):
    with bench(folder) as (port, meter):
        assert run_cli(monkeypatch, *profile_words(port, meter, folder)) == 0
    summary = json.loads(capsys.readouterr().out)
    energy = summary["energy"]
    ran = read_inferences(Path(summary["run"]) / "current.parquet")
    shares = [e["share"] for e in summary["experts"]]
    planted = [
        weighted([route for route, _ in inferences], joules, shares)
        for inferences, joules in zip(ran, meter.planted, strict=True)
    ]
    assert [w["inferences"] for w in energy["windows"]] == [len(w) for w in meter.planted]
    assert [w["joules_mean"] for w in energy["windows"]] == pytest.approx(planted, rel=1e-3)
    assert energy["joules_mean"] == pytest.approx(sorted(planted)[1], rel=1e-3)
    assert energy["coulombs_mean"] == pytest.approx(energy["joules_mean"] / VOLTS, rel=1e-6)
    assert energy["net_joules_mean"] == pytest.approx(
        energy["joules_mean"] * (BUSY_A - IDLE_A) / BUSY_A, rel=1e-3
    )
    assert energy["idle_w"] == pytest.approx(IDLE_A * VOLTS, rel=1e-3)
    assert energy["volts"] == pytest.approx(VOLTS)
    assert all(w["seconds"] >= 10 for w in energy["windows"])
    assert energy["source"] == "emulated board (LPM01A)"
    assert energy["modelled"]["source"] == "modelled"
    for expert in summary["experts"]:
        cycles = expert["latency"]["mean"]
        if cycles is not None:  # ms at 100 MHz; the pulses themselves take some of the time
            drawn = cycles * 1e5 * STRETCH * BUSY_A * VOLTS
            assert expert["energy_joules_mean"] == pytest.approx(drawn, rel=0.05)
    traces = read_current(Path(summary["run"]) / "current.parquet")
    assert [len(t.falls) for t in traces] == [2 * len(w) for w in meter.planted]
    assert read_run(Path(summary["run"])).current is not None
    assert [len(window) for window in ran] == [len(w) for w in meter.planted]
    names = [e["name"] for e in summary["experts"]]
    for name, expert in zip(names, energy["experts"], strict=True):
        assert expert["name"] == name
        assert expert["inferences"] == sum(
            route == names.index(name) for window in ran for route, _ in window
        )
    text = (folder / "profile.txt").read_text()
    assert "emulated board (LPM01A); median of 3 windows" in " ".join(text.split())
    assert "Energy of an inference (emulated board (LPM01A)" in text
    assert meter.commands[-2:] == ["pwr off", "hrc"]


def test_a_missing_edge_is_refused_its_samples_are_kept_and_it_can_be_had_again(
    folder, monkeypatch, capsys
):
    with bench(folder, skip=7) as (port, meter):
        words = profile_words(port, meter, folder)
        assert run_cli(monkeypatch, *words) == 5
        err = capsys.readouterr().err
        assert "window 1 of 3: LPM01A: missing marker edge" in err
        assert "no edge is interpolated" in err
        kept = folder / "runs" / "0001" / "current.parquet"
        assert f"raw samples are in {kept}" in err
        assert len(read_current(kept)[0].falls) % 2 == 1
        assert "9 of 9 samples are kept" in err
        assert f"--meter lpm01a --meter-port {meter.path} --meter-rate 1000" in err
        assert not (folder / "profile.json").exists()
        assert run_cli(monkeypatch, *words, "--resume") == 0
        assert len(read_current(kept)) == 3


def test_ctrl_c_in_a_window_ends_the_supply_and_says_how_to_go_on(folder):
    with bench(folder) as (port, meter):
        request = ProfileRequest(
            folder, port, limit=9, meter="lpm01a", meter_port=meter.path, meter_rate=RATE, windows=3
        )
        run = Repeater.__call__
        left: list[str] = []

        def interrupted(repeater: Repeater) -> Ran:
            if meter.planted and len(meter.planted[-1]) == 3:
                raise KeyboardInterrupt
            return run(repeater)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Repeater, "__call__", interrupted)
            with pytest.raises(KeyboardInterrupt) as error:
                profile(request, kept=left.append)
        assert error.value.args == ()
        assert len(left) == 1
        assert re.search(r"9 of 9 samples .*lpm01a .*--resume", left[0])
        assert meter.commands[-3:] == ["stop", "pwr off", "hrc"]
        assert not (folder / "runs" / "0001" / "profile.json").exists()


def test_a_firmware_that_marks_with_levels_is_told_apart(tmp_path, monkeypatch, capsys):
    folder = tiny_export(tmp_path / "export", 24)

    class Levels(WatchingMeter):
        def stream(self) -> None:
            """Only the end of an inference is a fall."""
            seen, samples = self.falls(), 0
            while not self._stop.is_set() and b"stop\r\n" not in self._line:
                self._line += self.read(0.002)
                falls = self.falls()
                events = [self.event()] * (falls - seen)
                self.send(b"".join([*self.some([IDLE_A] * 100, [], samples), *events]))
                seen, samples = falls, samples + 100

        def falls(self) -> int:
            return sum(level == 0 for _, level in self.machine.marker_edges)

    with bench(folder) as (port, meter):
        levels = Levels(meter.machine)
        with levels:
            assert run_cli(monkeypatch, *profile_words(port, levels, folder)) == 5
    err = capsys.readouterr().err
    assert "marks with levels, and this meter sees falling edges only" in err
    assert "edgeq flash --marker pulses" in err


def test_an_absent_meter_stops_before_anything_is_recorded(folder, monkeypatch, capsys):
    with bench(folder) as (port, _):
        words = ["profile", "--port", port, "--firmware", str(folder), "--json"]
        for flags, code, match in (
            (["--meter", "lpm01a", "--meter-port", "/dev/none"], 5, "/dev/none does not exist"),
            (["--meter", "ppk2"], 5, "no PPK2 is attached"),
            (["--meter", "voltmeter"], 2, "--meter voltmeter is not one of model, lpm01a"),
            (["--meter", "lpm01a", "--windows", "4"], 2, "give an odd number"),
            (["--meter", "lpm01a", "--window-seconds", "1"], 2, "at least 10 s"),
            (["--volts", "3.3"], 2, "need a --meter"),
        ):
            assert run_cli(monkeypatch, *words, *flags) == code, flags
            assert match in capsys.readouterr().err
    assert not (folder / "runs").exists()


def test_the_model_needs_no_windows():
    with powered(MeterPlan(), list) as meter:
        assert meter is None
    with pytest.raises(BadInput, match="need a --meter"), powered(MeterPlan(rate_hz=1000), list):
        pass


def test_only_silicon_is_called_silicon():
    assert source_of(load_board("nucleo_l4r5zi"), "PPK2") == "silicon (PPK2)"
    for name in ("virtual_m4", "virtual_m0plus", "qemu_mps2_an386", "netduinoplus2"):
        assert source_of(load_board(name), "PPK2") == "emulated board (PPK2)"
    assert source_of(None, "PPK2") == "silicon (PPK2)"


def test_meters_are_listed(monkeypatch, capsys):
    assert run_cli(monkeypatch, "meters", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert [m["name"] for m in facts["meters"]] == list(METERS)
    assert run_cli(monkeypatch, "meters") == 0
    text = capsys.readouterr().out
    assert "needs edgeq[joulescope]" in " ".join(text.split())
    assert "falling edges" in text


def test_the_usb_ids_of_doctor_are_those_of_the_meters():
    kinds = {kind.id: kind for kind in USB_KINDS if kind.what == "meter"}
    measuring = {name: meter for name, meter in METERS.items() if meter.usb_ids}
    assert set(kinds) == set(measuring)
    for name, meter in measuring.items():
        assert all(kinds[name].holds(usb_id) for usb_id in meter.usb_ids)
        assert len(kinds[name].products) == len(meter.usb_ids)


def test_the_marker_is_part_of_the_firmware():
    board = load_board("nucleo_l4r5zi")
    assert board.marked_by("levels") == board
    pulsing = board.marked_by("pulses")
    assert b"#define EDGEQ_ENERGY_MODE" in board_config(pulsing)
    assert b"ENERGY_MODE" not in board_config(board)
    assert pulsing.clock_hz == board.clock_hz
    with pytest.raises(BadInput, match="--marker blinks is not one of levels, pulses"):
        board.marked_by("blinks")


def test_short_inferences_and_absent_experts_are_noted():
    second = np.ones(4)
    window = Window((0, 0, 0, 0), second, second, second * 0.012, 0.0, 3.3, 1000.0, 10.0)
    summary = summarize(replace(subject(), experts=("a", "b")), RECORDS).but(notes=[])
    plan = MeterPlan("lpm01a", windows=1)
    noted = with_energy(summary, [window], plan, "silicon (LPM01A)")
    assert "lasts 12.0 samples" in noted.notes[0]
    assert noted.notes[1] == "no energy of b: no window ran them"
    assert [e.energy_joules_mean for e in noted.experts] == [1.0, None]
    assert noted.energy.modelled == summary.energy
    assert summary.notes == []
