"""`edgeq search`: storages, killed workers, resuming, and the errors of a space."""

import json
from pathlib import Path
from typing import Any

import pytest

import edgeq
from edgeq.board import load_board
from edgeq.errors import BadInput
from edgeq.planning.counted import Counted
from edgeq.planning.program import Limits
from edgeq.reporting.study import read_study
from edgeq.searching.search import fail_orphans
from edgeq.searching.storage import open_storage, optuna_module, shown
from edgeq.searching.trial import Bounds, behind
from edgeq.searching.worker import identity
from edgeq.toolchain import find_compiler
from tests.command_line import run_told
from tests.unit.searching import space_files
from tests.unit.searching.servers import free_port, grpc_proxy, postgresql
from tests.unit.small_model import assert_refused

BOARD = "virtual_m4"


def space(folder: Path, text: str = space_files.BLOBS) -> Path:
    path = folder / "space.py"
    path.write_text(text)
    return path


def states(result: dict[str, Any]) -> tuple[int, int]:
    return result["complete"] + result["pruned"], result["failed"]


@pytest.mark.full
def test_two_trials_go_into_a_folder_and_the_best_is_exported(
    tmp_path: Path, monkeypatch: Any, capfd: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("search", space(tmp_path), "--board", BOARD, "--run", "run", "--trials")
    ended = run_told(monkeypatch, capfd, *words, 2, "--out", "best")
    assert ended.code == 0, ended.err
    assert "searching 2 trials by 1 workers on virtual_m4" in ended.err
    study = read_study(tmp_path / "run")
    assert [row["number"] for row in study.table] == [0, 1]
    assert {"param.kind", "param.width", "cycles", "accuracy"} <= study.table[0].keys()
    assert "Accuracy against latency" in (tmp_path / "run" / "page.html").read_text()
    report = json.loads((tmp_path / "best" / "export.json").read_text())
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["best"]["cycles"] == pytest.approx(report["estimate"]["worst"]["cycles"], abs=1)
    assert report["flash_bytes"] <= load_board(BOARD).flash.bytes
    again = edgeq.search(tmp_path / "space.py", BOARD, trials=2, run=tmp_path / "run")
    assert [t["number"] for t in again["trials"]] == [0, 1], "there is nothing left to do"
    with pytest.raises(BadInput, match=r"is of another max|is of another .*flash_bytes"):
        edgeq.search(tmp_path / "space.py", BOARD, trials=3, run=tmp_path / "run", max_flash="20KB")


@pytest.mark.full
def test_ten_trials_by_two_processes_one_of_them_killed(tmp_path: Path) -> None:
    """The killed one's trial is lost, and no other; then a second call goes on from there."""
    (tmp_path / "kill").write_text("")
    told: list[str] = []
    where = {"storage": f"sqlite:///{tmp_path / 'all.db'}", "run": tmp_path / "run"}
    first = edgeq.search(space(tmp_path), BOARD, trials=8, workers=2, tell=told.append, **where)
    assert states(first) == (8, 1)
    (lost,) = [t for t in first["trials"] if t["state"] == "FAIL"]
    assert (lost["number"], lost["why"]) == (2, "its worker is gone")
    assert any("1 trial lost; another starts" in line for line in told)
    second = edgeq.search(tmp_path / "space.py", BOARD, trials=10, workers=2, **where)
    assert states(second) == (10, 1)
    before = {t["number"]: t["params"] for t in first["trials"]}
    after = {t["number"]: t["params"] for t in second["trials"]}
    assert {n: after[n] for n in before} == before
    assert len({t["worker"] for t in second["trials"] if t["worker"]}) >= 3


@pytest.mark.full
def test_four_trials_on_postgresql(tmp_path: Path) -> None:
    with postgresql() as url:
        result = edgeq.search(
            space(tmp_path), BOARD, trials=4, workers=2, storage=url, run=tmp_path / "run"
        )
        assert states(result) == (4, 0)
    with pytest.raises(BadInput, match=r"the storage postgresql.* does not answer"):
        edgeq.search(tmp_path / "space.py", BOARD, trials=5, storage=url, run=tmp_path / "run")


@pytest.mark.full
def test_four_trials_through_the_grpc_proxy(tmp_path: Path) -> None:
    with grpc_proxy(f"sqlite:///{tmp_path / 'behind.db'}") as url:
        result = edgeq.search(
            space(tmp_path), BOARD, trials=4, workers=2, storage=url, run=tmp_path / "run"
        )
    assert states(result) == (4, 0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (space_files.NO_FUNCTION, "has no function train, score"),
        (space_files.NO_PYTHON, "cannot run: SyntaxError"),
        pytest.param(
            space_files.RAISES,
            "the first 3 trials .* failed, the last: ValueError: too few, at ",
            marks=pytest.mark.full,
        ),
        pytest.param(
            space_files.NO_MODEL,
            "the first 3 trials .* gave int, not an edgeq.nn.Model",
            marks=pytest.mark.full,
        ),
        pytest.param(
            space_files.ENDS,
            r"3 workers died before any trial ended \(exit code 9\)",
            marks=pytest.mark.full,
        ),
    ],
    ids=["no function", "no Python", "raises", "no model", "ends"],
)
def test_a_space_that_fails_is_one_clear_error(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        edgeq.search(space(tmp_path, text), BOARD, trials=5, run=tmp_path / "run")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("search.db", "is no URL; give sqlite:///FILE"),
        ("grpc://localhost", "give a host and its port"),
        ("nosuch://x/y", "does not answer"),
        ("sqlite:////absent/folder/x.db", "does not answer"),
        ("postgresql://me:secret@localhost:PORT/x", r"me:\*\*\*@localhost.* does not"),
        ("journal:/absent/folder/x.log", "does not answer"),
    ],
)
def test_a_storage_that_is_gone_is_one_clear_error(tmp_path: Path, url: str, says: str) -> None:
    url = url.replace("PORT", str(free_port()))  # not in the test's name: workers must agree on it
    with pytest.raises(BadInput, match=says) as told:
        edgeq.search(space(tmp_path), BOARD, trials=1, storage=url, run=tmp_path / "run")
    assert "secret" not in str(told.value)


def test_what_is_asked_wrongly_is_refused(tmp_path: Path, monkeypatch: Any, capfd: Any) -> None:
    monkeypatch.chdir(tmp_path)
    file = space(tmp_path)
    for words, says in (
        (("--trials", "0"), "0 trials, 1 workers: give 1 or more"),
        (("--objective", "speed"), "--objective speed: give accuracy"),
        (("--max-flash", "tiny"), "--max-flash 'tiny' is no size"),
    ):
        ended = run_told(monkeypatch, capfd, "search", file, "--board", BOARD, *words)
        assert_refused(ended, 2, says)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("")
    ended = run_told(monkeypatch, capfd, "search", file, "--board", BOARD, "--run", "other")
    assert_refused(ended, 2, "other holds no search, and is not empty")
    ended = run_told(monkeypatch, capfd, "search", "absent.py", "--board", BOARD)
    assert_refused(ended, 2, "absent.py is no file")
    assert not (tmp_path / "build").exists()


def test_a_trial_over_the_caps_says_by_how_much() -> None:
    board = load_board(BOARD)
    bounds = Bounds(board, find_compiler("auto"), Limits(1000.0, 2000, 4000), ("accuracy",))
    over = bounds.over(Counted((), 1500.0, 1000, 4000, 0, {}, ""))
    assert over == {"cycles": 0.5, "flash_bytes": -0.5, "ram_bytes": 0.0}


def test_a_trial_below_the_median_at_its_epoch_is_behind() -> None:
    optuna = optuna_module()
    study = optuna.create_study(direction="maximize")
    for at in range(5):
        assert not behind(study, 0, 0.0), "too few to be behind of"
        trial = study.ask()
        trial.set_user_attr("early", {"0": at / 10})
        study.tell(trial, 1.0)
    assert behind(study, 0, 0.19)
    assert not behind(study, 0, 0.2)
    assert not behind(study, 1, 0.0), "no other has come so far"


def test_running_trials_of_processes_that_are_gone_are_failed() -> None:
    optuna = optuna_module()
    study = optuna.create_study(direction="maximize")
    ours, gone, elsewhere, unknown = (study.ask() for _ in range(4))
    host, pid, start = identity().rsplit(" ", 2)
    ours.set_user_attr("worker", identity())
    gone.set_user_attr("worker", f"{host} {pid} {float(start) - 100:.2f}")
    elsewhere.set_user_attr("worker", f"{host}x {pid} 1.0")
    assert fail_orphans(study) == 1
    found = [t.state.name for t in study.get_trials()]
    assert found == ["RUNNING", "FAIL", "RUNNING", "RUNNING"]
    assert unknown.number == 3


def test_a_journal_is_a_storage(tmp_path: Path) -> None:
    url = f"journal:{tmp_path / 'shared.log'}"
    study = optuna_module().create_study(study_name="a", storage=open_storage(url))
    study.tell(study.ask(), 1.0)
    again = optuna_module().load_study(study_name="a", storage=open_storage(url))
    assert len(again.trials) == 1


def test_a_password_is_not_shown() -> None:
    assert shown("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"
    assert shown("sqlite:///a.db") == "sqlite:///a.db"
