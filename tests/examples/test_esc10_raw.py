"""examples/esc10/raw.py: its table is its JSON's, and the stored network hears as both say."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from edgeq import nn
from edgeq.ops.op import quant_of
from edgeq.reference import quantize_rows
from tests.neighbours import script

FOLDER = Path(__file__).parents[2] / "examples" / "esc10"
FOLD_CLIPS, FEW = 80, 4


@pytest.fixture(scope="module")
def example() -> Iterator[ModuleType]:
    with script(FOLDER, "raw") as module:
        yield module


@pytest.fixture(scope="module")
def run() -> Any:
    return json.loads((FOLDER / "raw_run.json").read_text())


def test_the_readme_holds_the_table_of_the_json(example: ModuleType, run: Any) -> None:
    assert sys.modules["raw_table"].markdown(run) in (FOLDER / "README.md").read_text()


def test_a_step_is_done_before_the_next_and_needs_no_clip(example: ModuleType, run: Any) -> None:
    made = run["stream"]
    assert made["deadline"]["margin_s"] > 0
    assert made["deadline"]["share"] < 0.4
    assert made["sizes"]["ram_bytes"] < run["sizes"]["nucleo_l4r5zi"]["ram_bytes"] / 4
    text = sys.modules["raw_table"].markdown(run)
    assert f"{made['deadline']['worst_cycles']:,}, front end" in text
    assert "as a stream" not in sys.modules["raw_table"].markdown(
        {key: value for key, value in run.items() if key != "stream"}
    )


def test_all_of_fold_5_within_a_clip_of_the_hosts_features(example: ModuleType, run: Any) -> None:
    right = sys.modules["raw_table"].right
    assert len(run["labels"]) == len(set(run["clips"])) == FOLD_CLIPS
    assert all(name.startswith("5-") for name in run["clips"])
    assert run["answers"]["board"] == run["answers"]["reference"]
    assert run["differ_from_the_reference"] == run["linked"]["mismatches"] == 0
    assert abs(right(run, "board") - right(run, "host_features")) <= 1
    assert not run["commit"].endswith("+")


def test_it_was_made_of_other_clips_than_it_is_judged_by(example: ModuleType, run: Any) -> None:
    facts = json.loads(example.STORED.with_suffix(".json").read_text())
    assert facts == run["training"]
    assert not [name for name in facts["calibration_clips"] if name.startswith("5-")]
    assert not set(run["clips"]) & set(facts["calibration_clips"])


def test_the_stored_network_hears_as_the_json_says(
    example: ModuleType, data: Path, run: Any
) -> None:
    """Sound through the integers with a front end, features through those without."""
    ears = sys.modules["ears"]
    clips = example.load_sound(data, fold=5, count=FEW)
    assert list(clips.names) == run["clips"][:FEW]
    net = nn.load(example.STORED)
    heard = ears.hearing(net, example.calibration(data, run["training"]))
    assert (
        example.answers(example.integers(heard), clips.x).tolist() == run["answers"]["board"][:FEW]
    )
    host = example.answers(example.integers(net), ears.as_heard(clips).x)
    assert host.tolist() == run["answers"]["host_features"][:FEW]


def test_samples_reach_the_device_as_the_file_has_them(example: ModuleType) -> None:
    """16-bit sound in floats becomes the same 16 bits; features have the network's shape."""
    ears = sys.modules["ears"]
    sound = np.random.default_rng(0).integers(-32768, 32768, (2, *ears.HEARD)).astype(np.int16)
    x = (sound / 32768).astype(np.float32)
    graph = example.integers(ears.hearing(ears.network(0), x))
    assert quant_of(graph.tensors[graph.inputs[0]]).per_tensor == 2.0**-15
    rows = quantize_rows(graph, x.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(rows.ravel(), sound.ravel())
    assert ears.front_end()(torch.from_numpy(x)).shape[1:] == ears.SEEN


def test_clips_that_are_missing_are_named(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert example.main(["--data", str(tmp_path / "none"), "--out", str(tmp_path)]) == 2
    assert "git clone https://github.com/karolpiczak/ESC-50" in capsys.readouterr().err
    assert example.main(["--clips", "0"]) == 2
    assert "give at least 1" in capsys.readouterr().err


@pytest.mark.full
def test_clips_on_the_virtual_board_and_over_the_link(
    example: ModuleType, data: Path, tmp_path: Path, run: Any
) -> None:
    options = example.parser().parse_args(
        ["--data", str(data), "--out", str(tmp_path), "--clips", "3"]
    )
    results = example.run(options)
    assert results["answers"]["board"] == run["answers"]["board"][:3]
    assert results["differ_from_the_reference"] == results["linked"]["mismatches"] == 0
    assert results["cycles"] == run["cycles"]
