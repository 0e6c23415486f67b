"""A farm run over a stand-in of labgrid-client: held, lost and failing boards; resuming."""

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeq import flashers
from edgeq.errors import BadInput, EdgeqError, Link, MemoryBudget, Taken
from edgeq.farming import run as farm
from edgeq.farming.stands import Stand
from edgeq.profile_request import ProfileRequest
from tests.labgrid_stand_in import install, serial_port
from tests.tiny_export import tiny_export
from tests.unit.cli.conftest import Run

MATRIX = '[models]\ntiny = "tiny"\n[boards.virtual_m4]\n'
ENTRY = {
    "samples": 3,
    "accuracy": 0.5,
    "mismatches": 0,
    "latency": {"mean": 1.5, "p95": 2.0, "source": "modelled"},
    "energy": None,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LG_USERNAME", "alice")
    monkeypatch.setenv("LG_HOSTNAME", "vm")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "tiny").mkdir()
    (tmp_path / "matrix.toml").write_text(MATRIX)
    return tmp_path


def farm_of(folder: Path, *held: str) -> str:
    """Places a, b, c of virtual boards; who holds them."""
    places = {}
    for name, holder in zip("abc", (*held, *[None] * 3), strict=False):
        with socket.create_server(("localhost", 0)) as free:
            port = serial_port(free.getsockname()[1])
        tags = {"board": "virtual_m4"}
        places[name] = {"tags": tags, "resources": [port], "holder": holder}
    return str(install(folder / "labgrid", places))


def places(folder: Path) -> dict[str, Any]:
    known: dict[str, Any] = json.loads((folder / "labgrid" / "places.json").read_text())
    return known


@pytest.fixture
def boards(monkeypatch: pytest.MonkeyPatch) -> dict[str, EdgeqError]:
    """{stand: what its profile raises}; the others answer."""
    failing: dict[str, EdgeqError] = {}

    @contextlib.contextmanager
    def standing(stand: Stand, *_: object) -> Iterator[ProfileRequest]:
        yield ProfileRequest(place=stand.name)

    def profile(request: ProfileRequest) -> SimpleNamespace:
        if request.place in failing:
            raise failing[request.place]
        return SimpleNamespace(entry=ENTRY)

    monkeypatch.setattr(farm, "standing", standing)
    monkeypatch.setattr(farm.profiling, "profile", profile)
    monkeypatch.setattr(farm, "read_report", lambda _: {})
    return failing


def ran(folder: Path, resume: bool = False) -> tuple[dict[str, Any], list[str]]:
    told: list[str] = []
    result = farm.farm_run(
        folder / "matrix.toml", folder / "out", resume=resume, labgrid=farm_of(folder),
        tell=told.append,
    )  # fmt: skip
    return result["rows"], told


def test_a_board_that_is_lost_is_not_asked_again(
    folder: Path, boards: dict[str, EdgeqError]
) -> None:
    (folder / "matrix.toml").write_text(MATRIX.replace("[boards", 'again = "tiny"\n[boards'))
    boards |= {"a": Link("the port is gone"), "b": Taken("bob has it")}
    rows, told = ran(folder)
    assert [(row["where"], row["state"]) for row in rows] == [("c", "ok")] * 2
    assert [line.split(":")[0] for line in told] == ["tiny on a", "tiny on b", "again on b"]
    assert (rows[0]["latency_ms"], rows[0]["energy_uj"]) == (1.5, None)


def test_what_failed_is_told_and_run_again(folder: Path, boards: dict[str, EdgeqError]) -> None:
    boards |= {"a": Link("gone"), "b": Link("gone too"), "c": Link("all gone")}
    rows, _ = ran(folder)
    assert (rows[0]["state"], rows[0]["why"], rows[0]["where"]) == ("failed", "all gone", None)
    with pytest.raises(Link, match="1 of 1 cells failed; first tiny on virtual_m4: all gone; mend"):
        farm.refuse_failures({"rows": rows})
    boards.clear()
    rows, _ = ran(folder, resume=True)
    assert rows[0]["state"] == "ok"
    farm.refuse_failures({"rows": rows})


def test_a_fault_of_the_model_tries_no_other_board(
    folder: Path, boards: dict[str, EdgeqError]
) -> None:
    boards["a"] = MemoryBudget("too large")
    rows, told = ran(folder)
    assert (len(told), rows[0]["exit_code"]) == (1, 4)
    with pytest.raises(MemoryBudget):
        farm.refuse_failures({"rows": rows})


def test_done_stays_done(folder: Path, boards: dict[str, EdgeqError]) -> None:
    rows, _ = ran(folder)
    boards |= dict.fromkeys("abc", Link("must not be asked"))
    assert ran(folder, resume=True) == (rows, [])
    with pytest.raises(BadInput, match="is not empty; go on with --resume"):
        ran(folder)
    (folder / "matrix.toml").write_text("limit = 3\n" + MATRIX)
    with pytest.raises(BadInput, match="was begun with another matrix"):
        ran(folder, resume=True)


def test_nothing_to_resume_and_no_board(folder: Path) -> None:
    with pytest.raises(BadInput, match="holds no farm run to resume"):
        ran(folder, resume=True)
    (folder / "matrix.toml").write_text(MATRIX.replace("virtual_m4", "virtual_m0plus"))
    with pytest.raises(BadInput, match="no place of the farm has a virtual_m0plus: tag it with"):
        ran(folder)
    assert not (folder / "out").exists()


def test_what_a_killed_run_held_is_let_go(folder: Path, boards: dict[str, EdgeqError]) -> None:
    boards |= {}
    ran(folder)
    line = farm.Log(folder / "out", folder / "matrix.toml", True)
    line.add(held="a")
    line.close()
    client = farm_of(folder, "vm/alice", "vm/bob")
    farm.farm_run(folder / "matrix.toml", folder / "out", resume=True, labgrid=client)
    assert [place["holder"] for place in places(folder).values()] == [None, "vm/bob", None]


def test_the_list_and_a_refused_place(folder: Path, edgeq: Run) -> None:
    flags = ("--labgrid", farm_of(folder, "vm/bob"), "--json")
    listed = json.loads(edgeq("farm", "list", *flags).stdout)["places"]
    assert [place["holder"] for place in listed] == ["vm/bob", None, None]
    refused = edgeq("flash", "--place", "a", "--firmware", "tiny", *flags)
    assert (refused.returncode, "place a is held by vm/bob; wait" in refused.stderr) == (8, True)


@pytest.mark.full
def test_a_real_run(folder: Path, edgeq: Run) -> None:
    """Commands in a row, against virtual boards behind TCP ports and the stand-in's process."""
    tiny_export(folder / "tiny", 3)
    program = farm_of(folder, "vm/bob")
    flags = ("--labgrid", program, "--json")
    try:
        done = edgeq("farm", "run", "matrix.toml", "--out", "out", *flags)
        assert done.returncode == 0, done.stderr
        (row,) = json.loads(done.stdout)["rows"]
        assert (row["where"], row["state"], row["samples"]) == ("b", "ok", 3)
        assert "tiny on a: place a is held by vm/bob; wait" in done.stderr
        assert places(folder)["b"]["holder"] is None
        refused = edgeq("profile", "--place", "a", "--firmware", "tiny", *flags)
        assert (refused.returncode, "is held by vm/bob" in refused.stderr) == (8, True)
        both = edgeq("profile", "--place", "b", "--port", "x", "--firmware", "tiny", *flags)
        assert (both.returncode, "leave out --port" in both.stderr) == (2, True)
    finally:
        flashers.stop(everything=True)
