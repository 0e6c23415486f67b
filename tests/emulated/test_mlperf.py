"""The firmware of `export --mlperf` answers the runner of MLPerf Tiny, on the virtual board."""

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn
from edgeq.board import load_board
from edgeq.cli.export import export as export_command
from edgeq.emit.mlperf import IDS, TASKS, fitting_task
from edgeq.errors import BadInput, Toolchain
from edgeq.flashers import stop
from edgeq.harness.link import BoardLink
from edgeq.ir import Graph, Stream
from edgeq.ops.graph_file import read_graph
from edgeq.pipeline import export
from edgeq.reference import run
from tests.audio_cases import AUDIO_CASES
from tests.emulated.mlperf_runner import Runner
from tests.factory import fc_graph
from tests.hang import HANG_S
from tests.tiny_export import served

FILES = 8


def keyword_model(softmax: bool = True) -> nn.Model:
    """The shapes of kws01, weights as they come."""
    torch.manual_seed(4)
    layers = [nn.Flatten(), nn.Linear(490, 24, "ternary"), nn.ReLU(), nn.Linear(24, 12, "int8")]
    body = nn.Sequential(*layers, *([nn.Softmax()] if softmax else []))
    rows = np.random.default_rng(2).normal(0, 20, (64, 1, 49, 10)).astype(np.float32)
    return nn.Model(body, (1, 49, 10), name="keywords", calibration=rows)


@dataclass(frozen=True)
class Exported:
    """An export for kws01, its report, its graph, and data files of the benchmark's form."""

    folder: Path
    report: dict[str, object]
    graph: Graph
    files: list[bytes]

    def expected(self) -> np.ndarray:
        """Real results of the reference, (files, 12)."""
        rows = [np.frombuffer(data, np.int8).reshape(49, 10, 1) for data in self.files]
        quant = self.graph.tensors[self.graph.outputs[0]].quant
        assert quant is not None
        output = run(self.graph, np.stack(rows)).output.astype(np.float64)
        return (output - quant.zero_point) * quant.per_tensor


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("mlperf")
    edgeq.save(keyword_model(), folder / "model.pt")
    try:
        report = export(folder / "model.pt", "virtual_m4", folder / "export", mlperf="kws01")
    except Toolchain as error:
        pytest.skip(str(error))
    rng = np.random.default_rng(3)
    files = [rng.integers(-128, 128, 490, np.int8).tobytes() for _ in range(FILES)]
    graph = read_graph(folder / "export" / "graph.npz")
    return Exported(folder / "export", report, graph, files)


def built(exported: Exported, marker: str = "levels", baud: int | None = None) -> Path:
    """The folder, with the firmware of `edgeq flash --marker MARKER --baud BAUD`."""
    facts = edgeq.build("virtual_m4", exported.folder, marker=marker, baud=baud)
    assert facts["baud"] == (baud or 115200)
    return exported.folder


def up(port: str) -> str:
    """The port of a board that has booted, what it said then read: a USB port that nobody has
    open does not keep it, a pty does. The board answers in order, repeated questions too: a
    question asked once, and answered, is behind all of them."""
    with BoardLink.open(port, timeout=HANG_S) as link:
        repeated = -1
        while repeated != link.statistics.retries:
            repeated = link.statistics.retries
            link._read_info()
    return port


@pytest.fixture(scope="module")
def performance_port(exported: Exported) -> Iterator[str]:
    with served(built(exported)) as (port, _):
        yield up(port)


def test_the_runner_finds_the_benchmark(performance_port: str) -> None:
    with Runner(performance_port) as runner:
        assert runner.greet() == {
            "name": "virtual_m4",
            "profile": "ULPMark for tinyML Firmware V0.0.1",
            "model": "kws01",
        }
        assert runner.command("help")[0] == "ULPMark for tinyML Firmware V0.0.1"
        lap, _ = runner.command("timestamp")
        assert int(lap.removeprefix("m-lap-us-")) > 0


def test_accuracy_mode_gives_the_classes_of_the_reference(
    exported: Exported, performance_port: str
) -> None:
    with Runner(performance_port) as runner:
        got = runner.accuracy(exported.files)
    assert got == exported.expected().argmax(axis=1).tolist()
    assert len(set(got)) > 1


def test_performance_mode_measures_five_windows(exported: Exported, performance_port: str) -> None:
    counts = (4, 12, 20)
    with Runner(performance_port) as runner:
        modes = [runner.performance(exported.files[:5], count, 1) for count in counts]
        assert runner.command("results")[0].startswith("m-results-[")
    for window, wanted in zip(modes[0], exported.expected(), strict=False):
        assert window.results == pytest.approx(wanted, abs=1e-6)
    laps = [[window.laps[1] - window.laps[0] for window in windows] for windows in modes]
    four, twelve, twenty = np.median(laps, axis=1)  # in microseconds of the modelled clock
    with BoardLink.open(performance_port, HANG_S) as link:
        one = link.infer(0, exported.files[0]).cycles / link.info().clock_hz * 1e6
    # Each window prints its first lap line, too: the same for all.
    assert [twelve - four, twenty - twelve] == pytest.approx([8 * one] * 2, rel=0.01)
    assert four > 4 * one


def test_energy_mode_tells_by_the_marker_alone(exported: Exported) -> None:
    with served(built(exported, "pulses", 9600)) as (port, _):
        with Runner(up(port), 9600, energy=True) as runner:
            assert runner.greet()["model"] == "kws01"
            assert runner.command("timestamp") == ["m-ready"]
            windows = runner.performance(exported.files[:5], 3, 1)
    for window, wanted in zip(windows, exported.expected(), strict=False):
        assert window.laps == ()
        assert window.results == pytest.approx(wanted, abs=1e-6)


def edges_of(path: Path) -> list[tuple[int, int]]:
    """(cycles, level) of each line, which is whole as soon as it is there."""
    edges = [json.loads(line) for line in path.read_text().splitlines()]
    assert {edge["hz"] for edge in edges} == {load_board("virtual_m4").clock_hz}
    return [(edge["cycles"], edge["level"]) for edge in edges]


def test_case_41_energy_mode_through_edgeq_flash(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real command; the marker's edges stand in a file while the board runs."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    path, count = tmp_path / "marker.jsonl", 3
    command = [sys.executable, "-m", "edgeq", "flash", "--board", "virtual_m4", "--json"]
    command += ["--firmware", str(exported.folder), "--marker", "pulses", "--baud", "9600"]
    done = subprocess.run(
        [*command, "--marker-file", str(path)], capture_output=True, text=True, timeout=HANG_S
    )
    assert done.returncode == 0, done.stderr
    started = json.loads(done.stdout)
    try:
        with BoardLink.open(started["port"], HANG_S, 9600) as link:
            one = link.infer(0, exported.files[0]).cycles
        before = len(edges_of(path))
        with Runner(started["port"], 9600, energy=True) as runner:
            runner.load(exported.files[0])
            runner.infer(count, 1)
        edges = edges_of(path)
    finally:
        stop(everything=True)
    falls = [cycles for cycles, level in edges[before:] if level == 0]
    assert len(falls) == 2, "one pulse before the window, one behind it"
    assert count * one < falls[1] - falls[0] < 1.05 * count * one + 2000
    assert all(low <= high for (low, _), (high, _) in itertools.pairwise(edges))
    assert [level for _, level in edges] == [(n + 1) % 2 for n in range(len(edges))]


def test_case_41_a_marker_file_needs_a_virtual_board(exported: Exported, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"PA8 .*which a current meter watches"):
        edgeq.flash("nucleo_f446re", exported.folder, tool="openocd", dry_run=True,
                    marker_file=tmp_path / "x")  # fmt: skip
    assert not (tmp_path / "x").exists()


def test_the_report_says_how_bytes_are_read(exported: Exported) -> None:
    notes = [note for note in exported.report["notes"] if note.startswith("kws01: ")]  # type: ignore[attr-defined]
    quant = exported.graph.tensors[exported.graph.inputs[0]].quant
    assert quant is not None
    assert f"{quant.per_tensor:.6g} * (p - {quant.zero_point})" in notes[0]
    assert len(notes) == 1


def test_a_model_without_probabilities_is_told_so(tmp_path: Path) -> None:
    edgeq.save(keyword_model(softmax=False), tmp_path / "model.pt")
    try:
        report = export(tmp_path / "model.pt", "cortex-m4", tmp_path / "out", mlperf="kws01")
    except Toolchain as error:
        pytest.skip(str(error))
    assert any("end the model with nn.Softmax" in note for note in report["notes"])


@pytest.mark.parametrize("name", TASKS)
def test_a_model_of_other_shapes_is_refused(name: str) -> None:
    graph = fc_graph(np.random.default_rng(1), ("s8",))
    with pytest.raises(BadInput, match=f"--mlperf {name} .*: its input is .*; leave --mlperf out"):
        fitting_task(graph, name)
    with pytest.raises(BadInput, match="one of ad01, ic01, kws01, vww01, sww01"):
        fitting_task(graph, "tww01")


def test_the_command_offers_every_task() -> None:
    (option,) = [p for p in export_command.params if p.name == "mlperf"]
    assert sorted(option.type.choices) == sorted(IDS)  # type: ignore[attr-defined]


def test_case_40_the_page_names_the_files_that_the_runner_has() -> None:
    """And asks a virtual board for no window that it cannot answer in the runner's 30 s."""
    page = " ".join(
        (Path(__file__).parents[2] / "docs" / "mlperf.md").read_text(encoding="utf-8").split()
    )
    named = set(re.findall(r"\w+\.yaml", page))
    modes = {f"tests_{mode}.yaml" for mode in ("performance", "accuracy", "energy")}
    devices = {f"devices_{tasks}.yaml" for tasks in ("kws_ic_vww", "ad", "sww")}
    assert named == modes | devices
    assert "has no requirements file" in page
    assert "`sww01`" in page
    assert "On a virtual board a window of 10 s is out of reach" in page


HOPS = Stream(16, 48)


def hears(name: str, stream: Stream | None = HOPS) -> Graph:
    return replace(AUDIO_CASES[name](), stream=stream)


def test_streaming_wake_words_take_hops_of_sound_at_the_runners_rate() -> None:
    (note,) = fitting_task(hears("log mel, few bands"), "sww01")
    assert "`edgeq flash --microphone`; output 0 is the wake word" in note
    for name in ("mfcc", "pcen"):
        assert fitting_task(hears(name), "sww01") == [note]


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (lambda: hears("log mel of 256"), "its sound has 16,000 Hz, that of the model 8,000 Hz"),
        (lambda: hears("log mel of 512", None), "takes whole windows; add --stream hop=32ms"),
        (lambda: fc_graph(np.random.default_rng(1), ("s8",)), "begin it with nn.LogMel"),
    ],
)
def test_what_the_runner_cannot_play_to_is_refused(graph: Callable[[], Graph], said: str) -> None:
    with pytest.raises(BadInput, match=rf"^--mlperf sww01 \(streaming wake words\): .*{said}"):
        fitting_task(graph(), "sww01")
