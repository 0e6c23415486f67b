"""labgrid's own coordinator, exporter and client on this computer; three virtual boards, two users.

labgrid is installed once, in an environment of its own in this user's cache.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from edgeq.flashers import running, stop
from tests.hang import HANG_S
from tests.tiny_export import tiny_export

pytestmark = pytest.mark.full
VERSION = "26.0.1"
SAMPLES = 1500
PLACES = ("bench-a", "bench-b", "bench-c")


def installed() -> Path:
    """The folder of labgrid's programs. Raises OSError or SubprocessError where pip cannot."""
    env = platformdirs.user_cache_path("edgeq") / "tests" / f"labgrid-{VERSION}"
    if not (env / "whole").is_file():
        shutil.rmtree(env, ignore_errors=True)
        pip = (env / "bin" / "pip", "install", "-q", f"labgrid=={VERSION}")
        for words in ((sys.executable, "-m", "venv", env), pip):
            subprocess.run(words, check=True, capture_output=True, timeout=600)
        (env / "whole").touch()
    return env / "bin"


@pytest.fixture(scope="module")
def labgrid() -> Path:
    try:
        return installed()
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"labgrid cannot be installed here: {error}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


class Shelf:
    """A coordinator with an exporter; `labgrid` and `edgeq` as one of its users."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs = folder, programs
        self.address = f"127.0.0.1:{free_port()}"

    def environment(self, user: str) -> dict[str, str]:
        own = {"LG_COORDINATOR": self.address, "LG_USERNAME": user, "LG_HOSTNAME": "vm"}
        return {**os.environ, **own, "EDGEQ_LABGRID": str(self.programs)}

    def client(self, user: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self._run(user, self.programs / "labgrid-client", *words)

    def edgeq(self, user: str, *words: object) -> subprocess.CompletedProcess[str]:
        return self._run(user, sys.executable, "-m", "edgeq", *words)

    def start(self, *words: object, user: str = "alice") -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(word) for word in words],
            cwd=self.folder,
            env=self.environment(user),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _run(self, user: str, *words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in words],
            cwd=self.folder,
            env=self.environment(user),
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
        )


@contextlib.contextmanager
def shelf_in(folder: Path, labgrid: Path, samples: int) -> Iterator[Shelf]:
    """Coordinator, exporter and three places; the boards end with the block."""
    made = Shelf(folder, labgrid)
    resource = "  NetworkSerialPort: {host: localhost, port: %d, speed: 115200, protocol: raw}\n"
    exports = "".join(f"{name}:\n{resource % free_port()}" for name in PLACES)
    (folder / "exporter.yaml").write_text(exports)
    tiny_export(folder / "tiny", samples)
    matrix = '[models]\none = "tiny"\ntwo = "tiny"\n[boards.virtual_m4]\n'
    (folder / "matrix.toml").write_text(matrix)
    with contextlib.ExitStack() as stack:
        stack.callback(stop, everything=True)
        coordinator = made.start(labgrid / "labgrid-coordinator", "-l", made.address)
        stack.callback(_end, coordinator)
        until(lambda: made.client("alice", "places").returncode == 0, "no coordinator")
        exporter = made.start(labgrid / "labgrid-exporter", "--name", "shelf", "exporter.yaml")
        stack.callback(_end, exporter)
        until(lambda: made.client("alice", "resources").stdout.count("/") >= 6, "no exporter")
        for name in PLACES:
            for words in ("create", f"add-match shelf/{name}/*", "set-tags board=virtual_m4"):
                assert made.client("alice", "-p", name, *words.split()).returncode == 0
        yield made


@pytest.fixture
def shelf(tmp_path: Path, labgrid: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    with shelf_in(tmp_path, labgrid, SAMPLES) as made:
        yield made


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(HANG_S)


def holders(shelf: Shelf) -> list[str | None]:
    listed = shelf.edgeq("alice", "farm", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    return [place["holder"] for place in json.loads(listed.stdout)["places"]]


def test_two_users_and_one_refused(shelf: Shelf) -> None:
    assert shelf.client("bob", "-p", "bench-a", "acquire").returncode == 0
    flags = ("--place", "bench-a", "--firmware", "tiny")
    refused = shelf.edgeq("alice", "flash", *flags)
    assert refused.returncode == 8
    assert "place bench-a is held by vm/bob; wait for them" in refused.stderr
    assert holders(shelf) == ["vm/bob", None, None]
    flashed = shelf.edgeq("bob", "flash", *flags, "--json")  # what he holds he uses, and keeps
    assert flashed.returncode == 0, flashed.stderr
    assert json.loads(flashed.stdout)["verified"]
    done = shelf.edgeq("bob", "profile", *flags, "--limit", 20, "--json")
    assert json.loads(done.stdout)["mismatches"] == 0, done.stderr
    assert holders(shelf) == ["vm/bob", None, None]


def test_ctrl_c_releases(shelf: Shelf) -> None:
    flags = ("--place", "bench-b", "--firmware", "tiny")
    assert shelf.edgeq("alice", "flash", *flags).returncode == 0
    run = shelf.start(sys.executable, "-m", "edgeq", "profile", *flags)
    until(lambda: any(shelf.folder.glob("tiny/runs/*/*")), "no record")
    assert holders(shelf)[1] == "vm/alice"
    run.send_signal(signal.SIGINT)
    assert run.wait(HANG_S) == 130
    assert holders(shelf) == [None] * 3


def rows(shelf: Shelf) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((shelf.folder / "out/result.json").read_text())["rows"]
    return found


def begun(shelf: Shelf, cell: str) -> list[Path]:
    return sorted(shelf.folder.glob(f"out/runs/{cell}@virtual_m4/*/manifest.json"))


def test_a_board_that_dies_and_a_run_that_is_killed(shelf: Shelf) -> None:
    assert shelf.client("bob", "-p", "bench-a", "acquire").returncode == 0
    words = (sys.executable, "-m", "edgeq", "farm", "run", "matrix.toml", "--out", "out")
    run = shelf.start(*words)
    until(lambda: bool(begun(shelf, "one")), "the first cell does not begin")
    (board,) = running()  # bench-b's: bench-a is bob's
    os.kill(board.pid, signal.SIGKILL)
    until(lambda: len(begun(shelf, "one")) == 2, "it does not go on elsewhere")
    until(lambda: bool(begun(shelf, "two")), "the second cell does not begin")
    run.kill()
    run.wait(HANG_S)
    assert holders(shelf) == ["vm/bob", None, "vm/alice"]  # nobody could release it
    again = shelf.edgeq("alice", *words[3:], "--resume")
    assert again.returncode == 0, again.stderr
    assert [row["where"] for row in rows(shelf)] == ["bench-c", "bench-b"]
    assert [row["samples"] for row in rows(shelf)] == [SAMPLES] * 2
    assert (len(begun(shelf, "one")), len(begun(shelf, "two"))) == (2, 2)  # a cell was repeated
    assert holders(shelf) == ["vm/bob", None, None]
    compared = shelf.edgeq("alice", "compare", "out", "out", "--json")
    assert json.loads(compared.stdout)["changes"] == []
