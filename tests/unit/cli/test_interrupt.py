"""Ctrl-C on real processes: exit code 130, nothing half-written, nothing left running."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgeq
from edgeq import flashers, nn
from edgeq.errors import Link, Mismatch, Toolchain
from edgeq.flashers import verify
from edgeq.flashers.processes import identity
from tests.hang import HANG_S
from tests.unit.cli.conftest import ROOT

WAIT_S = HANG_S
# says so when the command line is loaded: before that Ctrl-C is Python's own
START = "import sys, edgeq.cli; print('ready', flush=True); sys.argv[0] = 'edgeq'; edgeq.cli.main()"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two layers with its calibration rows."""
    body = nn.Sequential(nn.Linear(4, 6, "ternary"), nn.ReLU(), nn.Linear(6, 2, 8))
    rows = np.random.default_rng(5).normal(size=(24, 4)).astype(np.float32)
    path = tmp_path_factory.mktemp("model") / "model.pt"
    edgeq.save(nn.Model(body, (4,), name="small", calibration=rows), path)
    return path


@pytest.fixture(scope="module")
def export(model: Path) -> Path:
    folder = model.parent / "export"
    try:
        edgeq.export(model, "virtual_m4", folder)
    except Toolchain as error:
        pytest.skip(str(error))
    return folder


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime and a scratch folder of the test's own; their contents must be gone at the end."""
    for name, variable in (("runtime", "XDG_RUNTIME_DIR"), ("scratch", "TMPDIR")):
        (tmp_path / name).mkdir(mode=0o700)
        monkeypatch.setenv(variable, str(tmp_path / name))
    return tmp_path / "runtime"


def interrupted(
    arguments: list[object], when: Callable[[], bool], whole_group: bool = False, **env: str
) -> tuple[int, str, str]:
    """Runs edgeq, waits until `when` holds, sends SIGINT; exit code and both streams.

    `whole_group` is what a terminal does: the tools that edgeq started get it too.
    """
    with subprocess.Popen(
        [sys.executable, "-c", START, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        deadline = time.monotonic() + WAIT_S
        while not when() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if process.poll() is None:
            (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=WAIT_S)
    return process.returncode, out, err


def scratch_folders(tmp_path: Path) -> list[Path]:
    """edgeq's scratch folders; a library that export imports leaves a file of its own there."""
    return [path for path in (tmp_path / "scratch").iterdir() if path.is_dir()]


def after(seconds: float) -> Callable[[], bool]:
    """Holds from so many seconds after its first question on."""
    started: list[float] = []

    def passed() -> bool:
        started.append(time.monotonic())
        return started[-1] - started[0] >= seconds

    return passed


def moments() -> list[object]:
    """Two of an export's moments in `make test`, more in `make test-full`."""
    full = [pytest.param(each / 2, marks=pytest.mark.full) for each in range(1, 13)]
    return [0.2, 2.0, *full]


@pytest.mark.parametrize("seconds", moments())
def test_an_export_that_is_cut_leaves_nothing(
    model: Path, tmp_path: Path, runtime: Path, seconds: float
) -> None:
    (tmp_path / "here").mkdir()
    out = tmp_path / "here" / "out"
    arguments = ["export", model, "--target", "virtual_m4", "--out", out, "--json"]
    code, said, err = interrupted(arguments, after(seconds))
    if said:  # it was faster; the signal found it done, or closing down
        assert code in (0, -signal.SIGINT)
        assert json.loads(said)["target"] == "virtual_m4"
        assert (out / "export.json").is_file()
    else:
        assert code == 130, err
        assert err.endswith("edgeq: interrupted\n")
        assert "Traceback" not in err
        assert list(out.parent.iterdir()) == []
    assert scratch_folders(tmp_path) == []


def test_an_export_that_is_cut_keeps_the_one_before(
    model: Path, export: Path, runtime: Path
) -> None:
    before = {p: p.read_bytes() for p in export.rglob("*") if p.is_file()}
    arguments = ["export", model, "--target", "virtual_m4", "--out", export, "--method", "minmax"]
    code, _, err = interrupted(arguments, after(0.5))
    assert code == 130, err
    assert {p: p.read_bytes() for p in export.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("whole_group", [False, True], ids=["alone", "terminal"])
def test_a_flash_that_is_cut_ends_its_tool(
    export: Path, tmp_path: Path, runtime: Path, whole_group: bool
) -> None:
    note = tmp_path / "pid"
    (tmp_path / "openocd").write_text(f'#!/bin/sh\necho $$ > "{note}"\nexec sleep 120\n')
    (tmp_path / "openocd").chmod(0o755)
    arguments = ["flash", "--board", "nucleo_f446re", "--with", "openocd", "--firmware", export]
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    code, out, err = interrupted(
        arguments, lambda: note.is_file() and bool(note.read_text()), whole_group, PATH=path
    )
    assert (code, out) == (130, ""), err
    assert identity(int(note.read_text())) is None, "the tool still runs"


def test_a_virtual_board_that_was_not_verified_is_not_left_behind(
    export: Path, runtime: Path
) -> None:
    """Asked at a port where nobody answers, edgeq waits; Ctrl-C comes while it does."""
    master, silent = pty.openpty()
    arguments = ["flash", "--board", "virtual_m4", "--firmware", export]
    code, out, err = interrupted(
        [*arguments, "--port", os.ttyname(silent)],
        lambda: bool(select.select([master], [], [], 0)[0]),  # the question has come
    )
    os.close(master)
    os.close(silent)
    assert (code, out) == (130, ""), err
    assert list((runtime / "edgeq").iterdir()) == []
    assert flashers.running() == ()


def test_a_bench_that_is_cut_prints_no_half_result(runtime: Path, tmp_path: Path) -> None:
    arguments = ["bench", "kernels", "--json"]  # of every kernel: minutes, on any machine
    code, out, err = interrupted(arguments, after(6.0))
    assert code == 130, err
    assert out == ""
    assert "Exception ignored" not in err
    assert scratch_folders(tmp_path) == []


def test_a_virtual_board_is_verified_by_what_it_says_itself(export: Path, runtime: Path) -> None:
    """The whole way without a stand-in: flashed, asked, and asked for another firmware."""
    command = [sys.executable, "-m", "edgeq", "flash", "--board", "virtual_m4", "--json"]
    run = subprocess.run(
        [*command, "--firmware", str(export)],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    try:
        assert result["verified"] is True
        with pytest.raises(Mismatch, match=f"runs firmware {result['firmware_digest'][:16]}"):
            verify.verify(result["port"], "0" * 64)
    finally:
        flashers.stop(everything=True)
    master, silent = pty.openpty()  # the board's own name may be another's by now
    with pytest.raises(Link, match="written, but not verified"):
        verify.verify(os.ttyname(silent), result["firmware_digest"], deadline_s=0.3)
    os.close(master)
    os.close(silent)
