"""What edgeq writes: links followed, special files written through or refused, nothing left."""

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgeq
from edgeq import nn
from edgeq.errors import BadInput
from edgeq.export_folder import Artifacts, write_export
from edgeq.files import real_place, scratch_folder, take_place, write_file, writing
from edgeq.firmware_project import FirmwareProject
from edgeq.harness.manifest import write_manifest
from edgeq.harness.power_trace import PowerTrace, write_current
from edgeq.harness.trace import read_run
from edgeq.harness.trace_writer import create_run
from edgeq.profile_request import ProfileRequest
from edgeq.profiling import _export
from edgeq.reporting.markdown import END, START, write_table
from edgeq.reporting.write import write_report
from tests.hang import HANG_S
from tests.unit.report.made import subject, write_run

Write = Callable[[Path], object]


def model_at(path: Path) -> None:
    edgeq.save(nn.Model(nn.Sequential(nn.Linear(2, 2)), (2,), name="m"), path)


def current_at(path: Path) -> None:
    edges = np.zeros(0, np.int64)
    write_current([PowerTrace("m", np.zeros(3), np.ones(3), edges, edges, 1e3, "now")], path)


@pytest.fixture(params=["file", "model", "current", "trace", "parquet", "html"])
def write(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Every place that writes a file which the user named."""
    folder = tmp_path_factory.mktemp("run") / "0001"
    if request.param in ("file", "model", "current"):
        return {"file": lambda p: write_file(p, b"new"), "model": model_at, "current": current_at}[
            request.param
        ]
    made = write_run(folder, subject())
    if request.param == "html":
        pytest.importorskip("plotly")
        return lambda path: write_report([made], html=path)
    flag = request.param
    return lambda path: _export(made.run, ProfileRequest(folder, **{flag: path}))


def test_case_20_a_link_is_followed(tmp_path: Path, write: Write) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "file", tmp_path / "link"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    write(link)
    assert link.is_symlink()
    assert target.read_bytes() not in (b"", b"old")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    target.unlink()  # a link to nothing yet
    write(link)
    assert link.is_symlink()
    assert target.is_file()
    assert {p.name for p in tmp_path.rglob("*")} == {"real", "link", "file"}


def test_case_20_a_fifo_is_written_through(tmp_path: Path, write: Write) -> None:
    fifo, plain, got = tmp_path / "fifo", tmp_path / "plain", []
    os.mkfifo(fifo)
    with pytest.raises(BadInput, match="nobody reads from it"):
        write(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)  # there before the writer looks
    os.set_blocking(reader, True)

    def read() -> None:
        while piece := os.read(reader, 1 << 16):
            got.append(piece)

    thread = threading.Thread(target=read)
    write(plain)
    with (tmp_path / "held").open("w"):
        holder = os.open(fifo, os.O_WRONLY)  # until the thread waits, there is always a writer
        thread.start()
        write(fifo)
        os.close(holder)
    thread.join(HANG_S)
    os.close(reader)
    assert stat.S_ISFIFO(fifo.lstat().st_mode)
    assert len(b"".join(got)) == plain.stat().st_size


def test_case_20_devices_stay_devices(tmp_path: Path, write: Write) -> None:
    write(Path("/dev/null"))
    (tmp_path / "null").symlink_to("/dev/null")
    write(tmp_path / "null")
    with pytest.raises(BadInput, match="No space left"):
        write(Path("/dev/full"))
    for name in ("null", "full"):
        assert stat.S_ISCHR(Path("/dev", name).lstat().st_mode)


def test_case_20_what_cannot_be_a_file_is_refused(tmp_path: Path, write: Write) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(tmp_path)  # names of sockets are short
        listener.bind("socket")
        os.chdir(here)
        (tmp_path / "circle").symlink_to("circle")
        (tmp_path / "folder").mkdir()
        (tmp_path / "file").write_text("x")
        for name in ("socket", "circle", "folder", "file/below", "x" * 300, "nul\0"):
            with pytest.raises(BadInput, match="cannot write"):
                write(tmp_path / name)
    assert {p.name for p in tmp_path.iterdir()} == {"socket", "circle", "folder", "file"}


def test_case_20_standard_output_is_not_replaced(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from edgeq.files import write_file\n"
        "print('before', flush=True); write_file(Path('/dev/stdout'), b'data\\n'); print('after')"
    )
    with (tmp_path / "out").open("w") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True, timeout=HANG_S)
    assert (tmp_path / "out").read_text() == "before\ndata\nafter\n"
    piped = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=HANG_S)
    assert piped.stdout == b"before\ndata\nafter\n"


def test_case_20_folders_are_followed_too(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    artifacts = Artifacts({"model_digest": "x"}, FirmwareProject({"a.c": b"1"}), {}, {})
    for _ in range(2):
        write_export(tmp_path / "link", artifacts)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "real" / "export.json").is_file()
    made = write_run(tmp_path / "old", subject())
    (tmp_path / "empty").mkdir()
    (tmp_path / "run").symlink_to("empty")
    with create_run(tmp_path / "run", made.run.manifest):
        pass
    assert (tmp_path / "run").is_symlink()
    assert read_run(tmp_path / "run").records == ()
    (tmp_path / "run" / "manifest.json").rename(tmp_path / "elsewhere.json")
    (tmp_path / "run" / "manifest.json").symlink_to(tmp_path / "elsewhere.json")
    write_manifest(tmp_path / "run", made.run.manifest)
    assert (tmp_path / "run" / "manifest.json").is_symlink()


def test_case_20_a_table_goes_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"a\n{START}\n{END}\nb\n")
    (tmp_path / "link.md").symlink_to("README.md")
    write_table(tmp_path / "link.md", "table")
    assert (tmp_path / "link.md").is_symlink()
    assert "table\n" in (tmp_path / "README.md").read_text()


def test_a_block_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), writing(path) as file:
        file.write(b"%d" % (1 // 0))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


HOLD = """
import sys, time
from pathlib import Path
from edgeq.files import scratch_folder
with scratch_folder(Path(sys.argv[1]) if len(sys.argv) > 1 else None) as folder:
    (folder / "part").write_text("x")
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("beside", [True, False])
def test_case_32_the_next_one_sweeps_up_after_a_killed_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    where = tmp_path / "file" if beside else None
    command = [sys.executable, "-c", HOLD, *([str(where)] if where else [])]
    (tmp_path / "edgeq-scratch-file").write_text("no folder")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".edgeq-scratch-link").symlink_to("elsewhere")
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as alive,
    ):
        assert killed.stdout
        assert alive.stdout
        gone, held = Path(killed.stdout.readline().strip()), Path(alive.stdout.readline().strip())
        killed.kill()
        killed.wait()
        assert gone.is_dir()
        with scratch_folder(where) as mine:
            assert not gone.exists()
            assert (held / "part").is_file(), "of a living process"
            with scratch_folder(where):
                assert mine.is_dir()
        alive.send_signal(signal.SIGKILL)
    with scratch_folder(where):
        pass
    left = {"edgeq-scratch-file", ".edgeq-scratch-link", "elsewhere"}
    assert {path.name for path in tmp_path.iterdir()} == left


SWAP = """
import os, sys
from pathlib import Path
from edgeq import files
real, at = Path.rename, int(sys.argv[2])
def rename(self, to):
    global at
    at -= 1
    if at == 0:
        os.kill(os.getpid(), 9)
    return real(self, to)
Path.rename = rename
place = Path(sys.argv[1])
with files.scratch_folder(place) as scratch:
    (scratch / "new").mkdir()
    (scratch / "new" / "is").write_text("new")
    files.take_place(scratch / "new", place, ("runs",))
"""


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_case_32_a_swap_that_is_killed_loses_nothing(tmp_path: Path, at: int) -> None:
    place = tmp_path / "out"
    (place / "runs").mkdir(parents=True)
    (place / "runs" / "0001").write_text("recorded")
    (place / "is").write_text("old")
    run = subprocess.run([sys.executable, "-c", SWAP, str(place), str(at)], timeout=HANG_S)
    assert run.returncode == (0 if at == 4 else -signal.SIGKILL)
    with scratch_folder(beside=place):
        pass
    assert list(tmp_path.iterdir()) == [place]
    assert (place / "is").read_text() == ("old" if at < 3 else "new")
    assert (place / "runs" / "0001").read_text() == "recorded"


def test_a_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("x")
    with scratch_folder(beside=tmp_path / "out") as scratch:
        (scratch / "new").mkdir()
        take_place(scratch / "new", tmp_path / "out")
    assert [p.name for p in tmp_path.rglob("*")] == ["out"]
    assert real_place(tmp_path / "absent") == (tmp_path / "absent").resolve()
