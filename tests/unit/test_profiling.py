"""`edgeq profile` against the virtual board on a real pty, with a cable that is pulled."""

import json
import os
import shutil
import signal
import tty
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest

import edgeq
from edgeq import __version__, profiling
from edgeq.errors import BadInput, Link, Mismatch
from edgeq.flashers.one_port import only_port
from edgeq.harness.manifest import Data
from edgeq.harness.messages import InferResult
from edgeq.harness.trace import read_run
from edgeq.ops.graph_file import read_graph, write_graph
from edgeq.profile_request import ProfileRequest
from edgeq.profiling import Samples, profile, refuse_mismatches
from edgeq.reference import quantize_rows, run
from edgeq.reporting.profile import summarize
from tests.command_line import run_cli
from tests.factory import input_rows, smallest_mixture
from tests.same_profiles import check_same_records, check_same_summaries
from tests.tiny_export import DIGEST, served, tiny_export
from tests.unit.harness.lossy_line import LossyLine
from tests.unit.report.made import RECORDS, subject

SAMPLES = 24
CUT = 9


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export folder of a tiny mixture, built for the virtual board."""
    return tiny_export(tmp_path_factory.mktemp("profiling") / "export", SAMPLES)


@pytest.fixture(scope="module")
def port(exported: Path) -> Iterator[str]:
    with served(exported) as (name, _):
        yield name


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy to write into."""
    return Path(shutil.copytree(exported, tmp_path / "export"))


def test_the_summary_is_what_the_reference_says(port: str, folder: Path) -> None:
    heard: list[tuple[int, int, float]] = []
    parquet, lines = folder / "deep" / "records.parquet", folder / "records.jsonl"
    request = ProfileRequest(folder, port, parquet=parquet, trace=lines)
    made = profile(request, lambda *state: heard.append(state))
    summary = made.entry
    graph = read_graph(folder / "graph.npz")
    data = np.load(folder / "evaluation.npz")
    wanted = run(graph, quantize_rows(graph, data["x"]))
    right = wanted.output.argmax(axis=1) == data["y"]
    assert (summary["samples"], summary["mismatches"]) == (SAMPLES, 0)
    assert summary["accuracy"] == right.mean()
    assert [e["count"] for e in summary["experts"]] == np.bincount(wanted.route, None, 3).tolist()
    assert summary["latency"]["source"] == "modelled"
    assert summary["latency"]["mean"] > 0
    assert summary["compiler"]
    assert summary["flags"]
    assert heard[-1] == (SAMPLES, SAMPLES, pytest.approx(right.mean()))
    assert len(heard) == SAMPLES
    recorded = read_run(folder / "runs" / "0001")
    assert recorded.complete
    assert [r.label for r in recorded.records] == data["y"].tolist()
    assert recorded.summary == made
    assert len(lines.read_text().splitlines()) == SAMPLES
    assert pq.read_table(parquet).num_rows == SAMPLES
    assert json.loads((folder / "profile.json").read_text()) == summary
    assert "modelled" in (folder / "profile.txt").read_text()
    assert "<b>" not in (folder / "report.html").read_text().replace("<div><b>", "")
    refuse_mismatches(made)


def test_a_pulled_cable_keeps_the_trace_and_a_resumed_run_is_whole(
    port: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = profile(ProfileRequest(folder, port, run=folder / "whole")).entry
    with served(folder) as (other, pid):

        def pull(done: int, total: int, accuracy: float) -> None:
            if done == CUT:
                os.kill(pid, signal.SIGKILL)

        with pytest.raises(Link, match=f"{CUT} of {SAMPLES} samples are kept") as error:
            profile(ProfileRequest(folder, other), pull)
    assert error.value.exit_code == 5
    assert "--resume" in str(error.value)
    cut = read_run(folder / "runs" / "0001")
    assert len(cut.records) == CUT
    assert cut.ended is not None
    assert cut.ended.startswith("Link: ")
    words = ("profile", "--port", port, "--firmware", str(folder), "--resume", "--json")
    assert run_cli(monkeypatch, *words) == 0
    resumed = json.loads(capsys.readouterr().out)
    check_same_summaries(resumed, whole)
    assert read_run(folder / "runs" / "0001").complete
    again = profile(ProfileRequest(folder, port, resume=True)).entry  # nothing is left to run
    assert {**again, "link": 0} == {**resumed, "link": 0}


def test_a_profile_over_a_bad_line_is_that_over_a_good_one(port: str, folder: Path) -> None:
    good = profile(ProfileRequest(folder, port)).entry
    board = os.open(port, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(board)
    line = LossyLine(board, rate=0.01, seed=2, hold=0.01)
    bad = profile(ProfileRequest(folder, line.path)).entry
    line.close()
    os.close(board)
    assert line.damage > 20
    assert bad["link"]["retries"] > 0
    check_same_summaries(bad, good)
    records = [read_run(summary["run"]).records for summary in (bad, good)]
    check_same_records(*records)


def test_a_mismatch_is_shown_and_ends_in_exit_code_6(
    port: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = read_graph(folder / "graph.npz")
    expert = graph.nodes[0].attrs.experts[0].graph
    name = next(n for n, v in expert.constants.items() if n.endswith("bias") and v.size == 3)
    expert.constants[name] = expert.constants[name] + 5000
    write_graph(graph, folder / "graph.npz")
    words = ("profile", "--port", port, "--firmware", str(folder), "--json")
    assert run_cli(monkeypatch, *words) == 6
    out, err = capsys.readouterr()
    summary = json.loads(out)
    assert 0 < summary["mismatches"] <= SAMPLES
    marked = [r.index for r in read_run(folder / "runs" / "0001").records if r.mismatch]
    assert summary["mismatch_samples"] == marked[:10]
    assert f"{len(marked)} of {SAMPLES} samples differ from the reference: {marked[0]}" in err
    assert json.loads((folder / "profile.json").read_text()) == summary


def test_the_board_must_run_the_model_of_the_folder(port: str, folder: Path) -> None:
    report = json.loads((folder / "export.json").read_text())
    (folder / "export.json").write_text(json.dumps(report | {"model_digest": "ab" * 32}))
    with pytest.raises(Link, match=f"{DIGEST}.*{'ab' * 32}.*edgeq flash"):
        profile(ProfileRequest(folder, port))
    assert not (folder / "runs").exists()


def test_what_may_be_resumed(port: str, folder: Path) -> None:
    request = ProfileRequest(folder, port, limit=4)
    with pytest.raises(BadInput, match="holds no run to resume"):
        profile(replace(request, resume=True))
    assert profile(request).samples == 4
    with pytest.raises(BadInput, match="already holds 4 samples"):
        profile(replace(request, resume=True, limit=3))
    assert profile(replace(request, resume=True, limit=6)).samples == 6
    manifest = folder / "runs" / "0001" / "manifest.json"
    before = manifest.read_text()
    facts = json.loads(before)
    assert [s["edgeq"] for s in facts["sessions"]] == [__version__] * 2
    digest = facts["firmware"]["digest"]
    manifest.write_text(before.replace(digest, "0" * 64))
    with pytest.raises(BadInput, match="firmware_digest"):
        profile(replace(request, resume=True, limit=8))
    manifest.write_text(before)
    data = np.load(folder / "evaluation.npz")
    np.savez(folder / "other.npz", x=data["x"], y=2 - data["y"])
    with pytest.raises(BadInput, match="data set"):
        profile(replace(request, resume=True, data=folder / "other.npz"))
    assert manifest.read_text() == before
    assert len(read_run(folder / "runs" / "0001").records) == 6


def test_a_run_is_never_overwritten(port: str, folder: Path) -> None:
    request = ProfileRequest(folder, port, limit=2)
    names = [str(profile(request).run) for _ in range(2)]
    assert names == [str(folder / "runs" / "0001"), str(folder / "runs" / "0002")]
    with pytest.raises(BadInput, match="is not empty; continue its run with --resume"):
        profile(replace(request, run=folder / "runs" / "0001"))
    with pytest.raises(BadInput, match=r"cannot write .*choose another --run"):
        profile(replace(request, run=folder / "export.json" / "run"))


def test_rows_without_labels_have_no_accuracy(port: str, folder: Path) -> None:
    """Nor does its report, its page or a comparison invent one."""
    np.savez(folder / "rows.npz", x=np.load(folder / "evaluation.npz")["x"][:4])
    runs = [
        str(profile(ProfileRequest(folder, port, data=folder / "rows.npz")).run) for _ in range(2)
    ]
    summary = json.loads((Path(runs[0]) / "profile.json").read_text())
    assert summary["task"] == "unlabelled"
    assert summary["accuracy"] is summary["macro_f1"] is None
    assert "no accuracy: the data set has no labels" in summary["notes"]
    assert all(record.label is None for record in read_run(Path(runs[0])).records)
    shown = edgeq.report(runs[0], html=folder / "page.html")
    assert "unlabelled, no accuracy" in (folder / "page.html").read_text()
    assert shown
    assert all(m["name"] != "accuracy" for m in edgeq.compare(*runs)["metrics"])


def test_data_that_cannot_be_profiled(folder: Path) -> None:
    request = ProfileRequest(folder, "/dev/does-not-exist")
    with pytest.raises(Link, match="does not exist"):
        profile(request)
    with pytest.raises(BadInput, match="--limit 0"):
        profile(replace(request, limit=0))
    np.savez(folder / "x.npz", y=np.zeros(3, np.int64))
    with pytest.raises(BadInput, match="not x"):
        profile(replace(request, data=folder / "x.npz"))
    np.savez(folder / "wide.npz", x=np.zeros((3, 6)), y=np.zeros(3, np.int64))
    with pytest.raises(BadInput, match="the model takes"):
        profile(replace(request, data=folder / "wide.npz"))
    (folder / "evaluation.npz").unlink()
    with pytest.raises(BadInput, match="--data"):
        profile(request)


def test_the_only_board_is_taken_and_several_are_listed() -> None:
    assert only_port(["/dev/ttyACM0 (USB 0483:374b)"]) == "/dev/ttyACM0"
    with pytest.raises(Link, match="edgeq flash"):
        only_port([])
    with pytest.raises(Link, match=r"2 boards.*/dev/pts/1 \(virtual_m4\), /dev/pts/2"):
        only_port(["/dev/pts/1 (virtual_m4)", "/dev/pts/2 (virtual_m4)"])


def test_the_resume_command_repeats_the_flags() -> None:
    request = ProfileRequest(Path("my export"), "/dev/ttyACM0", limit=9, data=Path("d.npz"))
    assert request.resume_command(Path("my export/runs/0001")) == (
        "edgeq profile --firmware 'my export' --port /dev/ttyACM0 --run 'my export/runs/0001' "
        "--data d.npz --limit 9 --resume"
    )
    slow = ProfileRequest(Path("e"), baud=9600).resume_command(Path("r"))
    assert slow == "edgeq profile --firmware e --run r --baud 9600 --resume"
    plain = "edgeq profile --firmware e --run r --resume"
    assert ProfileRequest(Path("e")).resume_command(Path("r")) == plain


def test_refusing_names_the_first_samples() -> None:
    told = {"samples": 50, "mismatches": 12, "mismatch_samples": [3, 4], "run": "runs/7"}
    summary = summarize(subject(), RECORDS).but(**told)
    with pytest.raises(Mismatch, match=r"12 of 50 .*: 3, 4, \.\.\.; runs/7"):
        refuse_mismatches(summary)


def test_case_21_a_route_that_is_none_ends_the_run_at_once():
    graph = smallest_mixture()
    rows = input_rows(np.random.default_rng(0), graph, 3)
    samples = Samples(
        rows,
        np.zeros(3, np.int64),
        Data(source="x", digest="d", input_digest="e"),
        "classification",
    )

    class Board:
        def begin(self, earlier):
            assert list(earlier) == []  # nothing was answered before

        def infer(self, index, _data):
            return InferResult(index, 3, 0.0, 0.0, 9, np.zeros(3, np.int8), 0, (1,))

    kept = []
    writer = SimpleNamespace(add=kept.append, end=lambda: None)
    with pytest.raises(Link, match="sample 0: the board took route 3, which is none"):
        profiling._stream(Board(), writer, graph, samples, (), None)
    assert kept == []
