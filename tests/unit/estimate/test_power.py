"""A budget of mean power over the calibration rows as a stream, hold and idling included."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import edgeq
from edgeq.board import load_board
from edgeq.errors import BadInput, CostBudget
from edgeq.estimating.budget import Budget, unreachable
from edgeq.estimating.power import cycles_at, mean_power, power_entry
from edgeq.estimating.promised import within_mean
from edgeq.passes import holding
from edgeq.passes.freeze_cascade import routes_under
from edgeq.reference import Stages as Ran
from edgeq.reporting.stream import mean_power_words
from edgeq.thresholds.staged import limits_of, staged
from tests.unit.cascade.made import cascade_model, quantized
from tests.unit.streams.test_streams_of_experts import cascade, model

BOARD = load_board("virtual_m4")
assert BOARD.energy is not None
ENERGY = BOARD.energy.model_copy(update={"idle_w": 0.5e-3})
IDLE = BOARD.model_copy(update={"energy": ENERGY})


def test_by_hand() -> None:
    """A tenth of the time busy: that energy, and idling in the other nine."""
    hop_s, cycles = 0.02, 0.002 * BOARD.clock_hz
    wanted = (cycles * ENERGY.nj_per_cycle * 1e-9 + 0.5e-3 * 0.018) / 0.02
    assert mean_power(cycles, hop_s, IDLE, ENERGY) == pytest.approx(wanted)
    entry = power_entry(
        {"latency_s": 0.002, "of": "calibration", "rows": 60}, 0.02, IDLE, ENERGY, 3
    )
    assert entry["mean_w"] == pytest.approx(wanted)
    assert entry["busy"] == pytest.approx(0.1)
    said = mean_power_words(entry)
    assert f"{wanted * 1e3:.4g} mW in the mean of 60 calibration rows, one every 20 ms" in said
    assert "a hold of 3; busy 10.00%, 0.5 mW idle (modelled)" in said
    assert "idling not counted" in mean_power_words({**entry, "idle_w": None})
    assert "hold" not in mean_power_words({**entry, "hold": 0})


@given(share=st.floats(0.001, 0.9), hop_s=st.floats(0.001, 10))
def test_the_most_cycles_take_that_power(share: float, hop_s: float) -> None:
    cycles = share * hop_s * BOARD.clock_hz
    watts = mean_power(cycles, hop_s, IDLE, ENERGY)
    assert cycles_at(watts, hop_s, IDLE, ENERGY) == pytest.approx(cycles, rel=1e-6)
    budget = Budget.read(max_mean_power=f"{watts * 1e3:.9f}mW").every(hop_s)
    assert budget.most_mean_cycles(IDLE) == pytest.approx(cycles, rel=1e-3)
    assert budget.asked == {"max_mean_power_w": budget.max_mean_power_w}


def test_less_than_idling_is_no_cycles() -> None:
    budget = Budget.read(max_mean_power="0.1mW").every(0.02)
    assert budget.most_mean_cycles(IDLE) < 0
    error = unreachable(budget, IDLE, 1000.0, "at no threshold")
    assert "mW (modelled" in str(error)
    assert "--max-mean-power is 0.1 mW" in str(error)


def test_what_cannot_be_limited_is_refused() -> None:
    with pytest.raises(BadInput, match=r"say with --hop 20ms .*\(frame_s\)"):
        Budget.read(max_mean_power="3mW").every(None)
    assert Budget.read(max_mean_energy="3mJ").every(None).hop_s is None
    with pytest.raises(BadInput, match="one of uW, mW, W"):
        Budget.read(max_mean_power="3mJ")
    with pytest.raises(BadInput, match="has no energy figures"):
        Budget.read(max_mean_power="3mW").every(1).check_board(
            BOARD.model_copy(update={"energy": None})
        )


@pytest.mark.parametrize("hold", [0, 1, 6])
def test_the_safest_thresholds_within_a_mean_hold_their_rows(hold: int) -> None:
    """As the firmware would on these rows; the next safer ones cost too much."""
    made = holding(quantized(cascade_model(2)), hold)
    (node,) = (n for n in made.graph.nodes if n.op == "Cascade")
    assert made.cascading is not None
    ran, cycles = made.cascading.stages, {(0,): 100.0, (0, 1): 500.0}
    seen = set[float]()
    for most in (150.0, 250.0, 400.0):
        found = within_mean(made, cycles, most)
        assert found is not None
        limits = limits_of(node.attrs, found.thresholds)

        def mean(by: tuple[int, ...]) -> float:
            route = routes_under(node.attrs.rule, ran.signals, by, hold)
            return float(np.where(route > 0, 500.0, 100.0).mean())

        assert mean(limits) == pytest.approx(found.mean_cost)
        assert found.mean_cost <= most < mean((limits[0] + 30,)) or limits[0] > 226
        seen.add(found.mean_cost)
    assert len(seen) == 3


@given(
    seed=st.integers(0, 99),
    hold=st.integers(0, 5),
    thresholds=st.tuples(*[st.integers(0, 40)] * 2),
)
def test_stages_hold_as_a_cascade_does(seed: int, hold: int, thresholds: tuple[int, int]) -> None:
    rule = THREE.nodes[-1].attrs.rule
    signals = np.random.default_rng(seed).integers(0, 40, (25, 2))
    ran = replace(STAGES, signals=signals)
    stages = replace(staged(THREE.nodes[-1].attrs, ran, (1, 2, 3)), hold=hold)
    doubts = tuple(-t for t in thresholds)
    np.testing.assert_array_equal(
        stages.answering(doubts), routes_under(rule, signals, thresholds, hold)
    )


THREE = quantized(cascade_model(3)).graph
STAGES = Ran(np.zeros((25, 3, 4), np.int8), np.zeros((25, 2)))


@pytest.mark.full
def test_an_export_stays_within_its_power(tmp_path: Path) -> None:
    torch.manual_seed(0)
    edgeq.save(model(cascade()), tmp_path / "ears.pt")

    def exported(name: str, **more: str) -> dict[str, object]:
        return edgeq.export(
            tmp_path / "ears.pt", "virtual_m4", tmp_path / name, stream="hop=20ms", hold=3, **more
        )  # fmt: skip

    plain = exported("plain")
    assert isinstance(plain["power"], dict)
    most = 0.85 * plain["power"]["mean_w"]
    bound = exported("bound", max_mean_power=f"{most * 1e6:.3f}uW")
    assert isinstance(bound["power"], dict)
    assert bound["power"]["mean_w"] <= most * (1 + 1e-6)
    assert bound["cascade"] != plain["cascade"]
    assert edgeq.verify(tmp_path / "bound", model=tmp_path / "ears.pt")["passed"]
    with pytest.raises(CostBudget, match=r"--max-mean-power is 0\.001 mW"):
        exported("none", max_mean_power="1uW")
