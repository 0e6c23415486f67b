"""Windows of inferences: planted energies recovered by expert, and everything doubtful refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.board import load_board
from edgeq.errors import BadInput, Meter
from edgeq.harness.meters import MeterRequest, attached, meter_port, open_meter
from edgeq.harness.power_trace import PowerTrace, read_current, read_inferences, write_current
from edgeq.harness.window_figures import summarize_windows
from edgeq.harness.windows import (
    Ran,
    check_plan,
    measure_window,
    reduce_window,
)

RATE = 1000
IDLE_A, VOLTS = 0.002, 3.0
BUSY_A = (0.010, 0.016, 0.025)  # by expert


def window(routes: list[int], busy: int = 400, gap: int = 100) -> PowerTrace:
    """A capture with a second of idling, then inferences of `busy` samples."""
    current = [IDLE_A] * RATE
    rises, falls = [], []
    for route in routes:
        rises.append(len(current))
        current += [BUSY_A[route]] * busy
        falls.append(len(current))
        current += [IDLE_A] * gap
    return PowerTrace(
        "LPM01A",
        np.array(current),
        np.full(len(current), VOLTS),
        np.array(falls),
        np.array(rises),
        RATE,
        "2026-01-01T00:00:00.000+00:00",
    )


def ran(routes: list[int]) -> list[Ran]:
    return [Ran(route, 1000) for route in routes]


def pulses(trace: PowerTrace) -> PowerTrace:
    """The same capture by a meter that sees falling edges only."""
    assert trace.rises is not None
    return replace(trace, rises=None, falls=np.sort(np.concatenate((trace.rises, trace.falls))))


@given(st.lists(st.lists(st.integers(0, 2), min_size=25, max_size=30), min_size=1, max_size=5))
def test_planted_energies_come_back_by_expert(plan):
    windows = [reduce_window(window(routes), ran(routes), 10.0) for routes in plan]
    again = [reduce_window(pulses(window(routes)), ran(routes), 10.0) for routes in plan]
    shares = [sum(routes.count(e) for routes in plan) for e in range(3)]
    shares = [count / sum(shares) for count in shares]
    summary = summarize_windows(windows, ("a", "b", "c"), shares, "silicon (LPM01A)")
    assert summary == summarize_windows(again, ("a", "b", "c"), shares, "silicon (LPM01A)")
    assert summary["idle_w"] == pytest.approx(IDLE_A * VOLTS)
    assert summary["volts"] == VOLTS
    drawn = [amps * VOLTS * 0.4 for amps in BUSY_A]
    whole = [all(e in routes for e in range(3) if shares[e]) for routes in plan]
    weighted = sum(share * joules for share, joules in zip(shares, drawn, strict=True))
    means = [
        weighted if complete else np.mean([drawn[r] for r in routes])
        for routes, complete in zip(plan, whole, strict=True)
    ]
    assert summary["weighted"] == all(whole)
    assert summary["joules_mean"] == pytest.approx(np.median(means), rel=1e-9)
    assert summary["band"] == pytest.approx([min(means), max(means)])
    for route, expert in enumerate(summary["experts"]):
        count = sum(routes.count(route) for routes in plan)
        assert expert["inferences"] == count
        planted = BUSY_A[route] * 0.4 if count else None
        assert expert["coulombs_mean"] == (planted and pytest.approx(planted))
        net = planted and (BUSY_A[route] - IDLE_A) * VOLTS * 0.4
        assert expert["net_joules_mean"] == (net and pytest.approx(net))


ROUTES = [0, 1, 2] * 9


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda t: replace(t, falls=t.falls[:-1]), "missing marker edge"),
        (lambda t: replace(t, falls=np.append(t.falls, 9000)), "extra marker edge"),
        (lambda t: replace(t, lost=("overrun",)), "LPM01A lost data: overrun"),
        (lambda t: replace(t, rises=t.rises[::-1].copy()), "do not alternate"),
        (lambda t: replace(t, rises=t.rises - 500, falls=t.falls - 500), "idle power"),
        (lambda t: replace(t, rate_hz=2000.0), "idle power|the window lasted"),
        (lambda t: replace(t, falls=t.falls + 10**6 * (t.falls == t.falls[-1])), "ends before"),
    ],
)
def test_what_is_doubtful_is_refused(spoil, match):
    with pytest.raises(Meter, match=match):
        reduce_window(spoil(window(ROUTES)), ran(ROUTES), 10.0)


def test_a_model_without_experts_has_plain_means():
    routes = [0] * 27
    plain = replace(reduce_window(window(routes), ran(routes), 10.0), routes=(-1,) * 27)
    summary = summarize_windows([plain], (), (), "silicon (LPM01A)")
    assert summary["joules_mean"] == pytest.approx(BUSY_A[0] * VOLTS * 0.4)
    assert (summary["experts"], summary["weighted"], summary["inferences"]) == ([], False, 27)


def test_a_short_window_is_refused():
    with pytest.raises(Meter, match=r"lasted 4\.900 s .* 10 s are needed"):
        reduce_window(window(ROUTES[:10]), ran(ROUTES[:10]), 10.0)


def test_plans_that_prove_nothing():
    check_plan(5, 10.0)
    for windows, seconds in ((4, 10.0), (0, 10.0), (5, 9.9), (5, float("nan"))):
        with pytest.raises(BadInput, match="--window"):
            check_plan(windows, seconds)


def test_the_model_meter_draws_what_its_board_file_says():
    board = load_board("virtual_m4")
    assert board.energy is not None
    meter = open_meter("model", MeterRequest(board=board, clock_hz=100_000_000))
    plan = iter([(0, 7_000_000), *([(0, 5_000_000), (1, 9_000_000)] * 200)])

    def run() -> Ran:
        return Ran(*next(plan))

    trace, inferences = measure_window(meter, run)
    meter.close()
    assert len(inferences) > 100
    reduced = reduce_window(trace, inferences, 10.0)
    summary = summarize_windows([reduced], ("a", "b"), (0.5, 0.5), "modelled")
    nj = board.energy.nj_per_cycle
    assert summary["experts"][0]["joules_mean"] == pytest.approx(5e6 * nj * 1e-9)
    assert summary["experts"][1]["joules_mean"] == pytest.approx(9e6 * nj * 1e-9)
    assert trace.meter == "model"


def test_the_model_meter_needs_figures_and_keeps_their_volts():
    bare = load_board("virtual_m0plus")
    with pytest.raises(BadInput, match="virtual_m0plus has no energy figures"):
        open_meter("model", MeterRequest(board=bare))
    with pytest.raises(BadInput, match=r"hold at 1\.8 V"):
        open_meter("model", MeterRequest(volts=3.3, board=load_board("virtual_m4")))


@given(st.lists(st.integers(0, 3), max_size=8), st.booleans(), st.integers(0, 2))
def test_raw_samples_survive_the_file(tmp_path_factory, edges, levels, lost):
    path = tmp_path_factory.mktemp("current") / "current.parquet"
    trace = PowerTrace(
        "PPK2",
        np.array([0.1, 0.2, 0.3]),
        np.array([3.0, 3.1, 3.2]),
        np.array(sorted(edges), np.int64),
        np.array([0, 3]) if levels else None,
        1e5,
        "2026-01-01T00:00:00.000+00:00",
        ("overrun",) * lost,
    )
    empty = replace(trace, current_a=np.empty(0), voltage_v=np.empty(0), falls=np.empty(0, int))
    empty = replace(empty, rises=None)
    ran = [[(0, 100), (2, 300)], [], [(-1, 7)]]
    write_current([trace, empty, trace], path, ran)
    assert read_inferences(path) == ran
    for kept, wanted in zip(read_current(path), [trace, empty, trace], strict=True):
        for name in ("current_a", "voltage_v", "falls"):
            assert getattr(kept, name).tolist() == getattr(wanted, name).tolist()
        assert (kept.rises is None) == (wanted.rises is None)
        if kept.rises is not None and wanted.rises is not None:
            assert kept.rises.tolist() == wanted.rises.tolist()
        assert replace(kept, **ARRAYS) == replace(wanted, **ARRAYS)


ARRAYS = {"current_a": (), "voltage_v": (), "falls": (), "rises": ()}


def test_a_file_that_is_no_table_of_samples(tmp_path: Path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1 not really")
    for name in ("x.parquet", "absent.parquet"):
        with pytest.raises(BadInput, match="no table of current samples"):
            read_current(tmp_path / name)
        with pytest.raises(BadInput, match="no table of current samples"):
            read_inferences(tmp_path / name)
    with pytest.raises(BadInput, match="cannot write"):
        write_current([window([0])], tmp_path / "no" / "folder.parquet")


def test_meters_are_found_by_their_usb_ids():
    usb = [("/dev/ttyACM0", "0483:374b"), ("/dev/ttyACM1", "0483:5740")]
    usb += [("/dev/ttyACM2", "1915:c00a"), ("/dev/ttyACM3", "1915:c00a")]
    assert attached(usb)[:2] == [("lpm01a", "/dev/ttyACM1"), ("ppk2", "/dev/ttyACM2")]
    assert meter_port("lpm01a", usb) == "/dev/ttyACM1"
    assert meter_port("model", usb) is None
    with pytest.raises(Meter, match=r"2 of PPK2 are attached.*/dev/ttyACM2, /dev/ttyACM3"):
        meter_port("ppk2", usb)
    with pytest.raises(Meter, match=r"no LPM01A is attached .*0483:5740.*--meter-port"):
        meter_port("lpm01a", [])
    with pytest.raises(BadInput, match="--meter multimeter is not one of model, lpm01a"):
        open_meter("multimeter", MeterRequest())


def lengths(trace: PowerTrace) -> np.ndarray:
    assert trace.rises is not None
    return trace.falls - trace.rises


def without_block(trace: PowerTrace, start: int, samples: int) -> PowerTrace:
    """The capture as a host gets it that loses some samples in a row, and hears of nothing."""
    assert trace.rises is not None
    gone = np.s_[start : start + samples]
    return replace(
        trace,
        current_a=np.delete(trace.current_a, gone),
        voltage_v=np.delete(trace.voltage_v, gone),
        falls=np.where(trace.falls >= start + samples, trace.falls - samples, trace.falls),
        rises=np.where(trace.rises >= start + samples, trace.rises - samples, trace.rises),
    )


@pytest.mark.parametrize("block", [64, 512, 1024])
@pytest.mark.parametrize("busy", [2_000, 20_000])
def test_case_28_a_block_that_the_counter_cannot_show_is_refused(block, busy):
    """The PPK2's counter is modulo 64: these blocks leave no trace in it."""
    count = 24_000 // busy * 5
    trace = window([0] * count, busy=busy)
    whole = [Ran(0, 640 * busy)] * count
    assert reduce_window(trace, whole, 10.0, 640 * RATE).seconds == pytest.approx(busy / RATE)
    assert trace.rises is not None
    cut = without_block(trace, int(trace.rises[count // 2]) + 300, block)
    assert min(lengths(cut)) == busy - block
    with pytest.raises(Meter, match=rf"lost samples: inference {count // 2 + 1} lasted"):
        reduce_window(cut, whole, 10.0)


def test_case_28_experts_of_other_lengths_are_no_loss():
    """Short and long inferences in one window, edges a sample off, the clock 3 % fast."""
    rng = np.random.default_rng(3)
    cycles = np.where(np.arange(60) % 3 == 0, 6_400_000, 77_000)
    spans = np.round(cycles / 640 * 1.03).astype(int) + rng.integers(-1, 2, 60)
    current, rises, falls = [IDLE_A] * RATE, [], []
    for span in spans:
        rises.append(len(current))
        current += [0.01] * int(span)
        falls.append(len(current))
        current += [IDLE_A] * 20
    edges = {"rises": np.array(rises), "falls": np.array(falls)}
    volts = np.full(len(current), VOLTS)
    trace = replace(window([0]), current_a=np.array(current), voltage_v=volts, **edges)
    told = [Ran(0, int(c)) for c in cycles]
    assert len(reduce_window(trace, told, 10.0, 640 * RATE).routes) == 60
    with pytest.raises(Meter, match="disagree on time"):
        reduce_window(trace, told, 10.0, 700 * RATE)


def test_case_28_nothing_is_held_against_a_board_that_counts_no_cycles():
    trace = window([0] * 30)
    assert trace.rises is not None
    cut = without_block(trace, int(trace.rises[5]) + 10, 64)
    assert len(reduce_window(cut, [Ran(0, 0)] * 30, 10.0).routes) == 30
