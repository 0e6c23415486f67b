"""examples/cascades: README and JSON agree, the JSON is what the stored answers give."""

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edgeq import nn
from edgeq.comparing import cascades
from tests.neighbours import script

FOLDER = Path(__file__).parents[2] / "examples" / "cascades"
STUDIES = ("esc10", "digits")


@pytest.fixture(scope="module")
def score() -> Iterator[ModuleType]:
    """score.py as a module, with its neighbours."""
    with script(FOLDER, "score") as module:
        yield module


def _told(name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return told


@pytest.mark.parametrize("name", STUDIES)
def test_the_readme_holds_the_table_of_the_json(score: ModuleType, name: str) -> None:
    readme = (FOLDER / "README.md").read_text()
    assert score.cascade_table.markdown(_told(name)) in readme


@pytest.mark.parametrize("name", STUDIES)
def test_the_default_signal_of_a_cascade_is_the_best_that_a_device_has(
    score: ModuleType, name: str
) -> None:
    """In the mean of the networks; the largest probability takes a division that no device does."""
    told = _told(name)
    signals = next(iter(told["signals"].values())).keys() - {"errors", "1 - p_max"}
    best = max(signals, key=lambda signal: score.cascade_table.mean_auroc(told, signal))
    assert best == inspect.signature(nn.Cascade).parameters["signal"].default


@pytest.mark.parametrize("name", STUDIES)
def test_the_choice_comes_from_held_out_rows(score: ModuleType, name: str) -> None:
    """Test answers made worthless change nothing in it."""
    told, kept = _told(name), dict(np.load(FOLDER / f"{name}_answers.npz"))
    for key in kept:
        if "/test/" in key and key.endswith("logits"):
            kept[key] = np.zeros_like(kept[key])
    chosen = score.st.choose(score.study_of(kept, told["costs"]))
    for fold, choice in chosen.items():
        before = told["chosen"][str(fold)]
        assert (choice.cheap, choice.share) == (before["cheap"], before["share"])
        assert {str(seed): limit for seed, limit in choice.limits.items()} == before["limits"]


@pytest.mark.parametrize("name", STUDIES)
def test_held_out_and_test_rows_are_strangers(name: str) -> None:
    kept = np.load(FOLDER / f"{name}_answers.npz")
    for fold, seed in kept["cell"].tolist():
        held, test = (kept["cluster"][kept[f"{fold}/{seed}/{p}/row"]] for p in ("held", "test"))
        assert not set(held.tolist()) & set(test.tolist())
    if name == "esc10":
        assert len(held) >= 0.2 * (len(kept["y"]) - len(test))


@pytest.mark.parametrize("name", STUDIES)
def test_a_sample_is_recomputed_by_plain_loops(score: ModuleType, name: str) -> None:
    """Accuracy and energy of the cascade and its last stage, row by row."""
    told, kept = _told(name), dict(np.load(FOLDER / f"{name}_answers.npz"))
    study = score.study_of(kept, told["costs"])
    right, joules, last, rows = 0, 0.0, 0, 0
    for cell in study.cells:
        chosen = told["chosen"][str(cell.fold)]
        limit = chosen["limits"][str(cell.seed)]
        for i, row in enumerate(cell.test.row.tolist()):
            cheap = sorted(cell.test.logits[chosen["cheap"]][i].tolist())
            answer = int(np.argmax(cell.test.logits[study.last][i]))
            last += answer == study.y[row]
            joules += cell.energy[chosen["cheap"]] + study.signal_energy
            if cheap[-1] - cheap[-2] < limit:
                joules += cell.energy[study.last]
            else:
                answer = int(np.argmax(cell.test.logits[chosen["cheap"]][i]))
            right += answer == study.y[row]
            rows += 1
    assert right / rows == pytest.approx(told["networks"]["cascade"]["accuracy"])
    assert joules / rows == pytest.approx(told["networks"]["cascade"]["energy_j"])
    assert (right - last) / rows == pytest.approx(told["difference"]["value"])


@pytest.mark.parametrize("name", STUDIES)
def test_the_verdicts_are_those_of_the_figures(name: str) -> None:
    told = _told(name)
    assert told["a_shown"] == (
        told["saving"]["value"] >= 0.40 and told["difference"]["interval"][0] > -0.015
    )
    assert told["b_shown"] == (told["below_front"]["value"] >= 0.20)
    assert len(told["networks"]) - 1 >= 6


@pytest.mark.full
@pytest.mark.parametrize("name", STUDIES)
def test_the_whole_json_is_computed_again(score: ModuleType, name: str) -> None:
    told, kept = _told(name), dict(np.load(FOLDER / f"{name}_answers.npz"))
    again = score.report(score.study_of(kept, told["costs"]), told["costs"], name, told["commit"])
    for (path, found), (wanted_path, wanted) in zip(_leaves(again), _leaves(told), strict=True):
        assert path == wanted_path
        assert found == (pytest.approx(wanted) if isinstance(wanted, float) else wanted), path


def _leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """Every value inside objects and lists, with where it stands."""
    if isinstance(value, dict):
        return [leaf for k, v in value.items() for leaf in _leaves(v, f"{path}/{k}")]
    if isinstance(value, list | tuple):
        return [leaf for i, v in enumerate(value) for leaf in _leaves(v, f"{path}/{i}")]
    return [(path, value)]


def test_the_default_signal_is_the_best_by_the_table() -> None:
    """gap: no signal of a chosen cheap network is better beyond its interval."""
    for name in STUDIES:
        told = _told(name)
        for choice in told["chosen"].values():
            found = told["signals"][choice["cheap"]]
            best = max(v["value"] for s, v in found.items() if s != "errors")
            assert found["gap"]["interval"][1] >= best


def test_the_gap_is_that_of_the_reference() -> None:
    logits = np.random.default_rng(0).integers(-128, 128, (500, 10)).astype(np.int8)
    slow = [sorted(row)[-1] - sorted(row)[-2] for row in logits.astype(int).tolist()]
    assert cascades.gap(logits).tolist() == slow


@pytest.fixture(scope="module")
def heads() -> Iterator[ModuleType]:
    """heads.py as a module, with its neighbours."""
    with script(FOLDER, "heads") as module:
        yield module


@pytest.mark.parametrize("name", STUDIES)
def test_the_table_of_heads_is_that_of_the_stored_signals(heads: ModuleType, name: str) -> None:
    told = json.loads(heads.told(name).read_text())
    again = heads.result(name, dict(np.load(heads.stored(name))), told["commit"])
    for (path, found), (wanted_path, wanted) in zip(_leaves(again), _leaves(told), strict=True):
        assert path == wanted_path
        assert found == (pytest.approx(wanted) if isinstance(wanted, float) else wanted), path
    assert heads.markdown(told) in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize("name", STUDIES)
def test_no_signal_of_heads_is_better_than_the_default(heads: ModuleType, name: str) -> None:
    """In the mean of the cheap experts, and for either beyond the default's interval."""
    default = inspect.signature(nn.Cascade).parameters["signal"].default
    told = json.loads(heads.told(name).read_text())
    means = {signal: heads.mean_auroc(told, signal) for signal in heads.SIGNALS}
    assert default == max(means, key=lambda signal: means[signal] or 0.0)
    for found in told["signals"].values():
        best = max(v["value"] for s, v in found.items() if s != "errors")
        assert found[default]["interval"][1] >= best


@pytest.mark.parametrize("name", STUDIES)
def test_a_signal_of_heads_is_ranked_by_plain_loops(heads: ModuleType, name: str) -> None:
    """Every wrong answer against every right one of its own cell; ties are a half."""
    kept, told = np.load(heads.stored(name)), json.loads(heads.told(name).read_text())
    expert, signals = next(iter(told["signals"].items()))
    for signal, sign in (("ensemble", -1), ("monte_carlo", 1)):
        over = pairs = 0.0
        for cell in kept["cell"].tolist():
            doubt = sign * kept[f"{cell}/{expert}/{signal}"]
            wrong = kept[f"{cell}/{expert}/wrong"]
            for bad in doubt[wrong].tolist():
                for good in doubt[~wrong].tolist():
                    over += (bad > good) + 0.5 * (bad == good)
                    pairs += 1
        assert signals[signal]["value"] == pytest.approx(over / pairs)


def test_the_clips_of_heads_are_those_of_the_folds(heads: ModuleType) -> None:
    """Each seed has every clip once, in the cell of its own fold and of its own recording."""
    kept, studied = np.load(heads.stored("esc10")), np.load(FOLDER / "esc10_answers.npz")
    assert (kept["cluster"] == studied["cluster"]).all()
    for seed in {cell.partition("/")[2] for cell in kept["cell"].tolist()}:
        rows = [kept[f"{c}/row"] for c in kept["cell"].tolist() if c.endswith(f"/{seed}")]
        assert sorted(np.concatenate(rows).tolist()) == list(range(400))
    for cell in kept["cell"].tolist():
        assert set(kept[f"{cell}/row"].tolist()) == set(studied[f"{cell}/test/row"].tolist())
