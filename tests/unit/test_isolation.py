"""The tests see nothing of the user's: running boards, home, settings, ports."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
from serial.tools import list_ports  # type: ignore[import-untyped]

from edgeq import flashers
from edgeq.flashers import processes
from edgeq.flashers.usb import usb_devices
from tests.isolation import _refuse

ROOT = Path(__file__).parents[2]
# the tests that saw the boards of the user, one that starts processes, and the settings
TRIED = ("tests/unit/doctor/test_access.py", "tests/unit/test_isolation.py::test_seen_from_here")


def test_seen_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_ports, "comports", lambda: pytest.fail("a port scan"))
    assert flashers.look() == flashers.Surroundings()
    assert usb_devices() == ()
    assert flashers.running() == ()
    assert "edgeq-tests-" in str(Path.home())
    assert "edgeq-tests-" in str(processes.records_folder())
    assert not any(name.startswith("EDGEQ_EXPORT") for name in os.environ)


@pytest.mark.parametrize("runtime", [True, pytest.param(False, marks=pytest.mark.full)])
def test_case_44_a_board_that_the_user_runs_is_not_seen(tmp_path: Path, runtime: bool) -> None:
    """A user whose registry holds a board that lives (this process), and who has settings."""
    places = {"HOME": tmp_path / "home", "TMPDIR": tmp_path / "tmp"}
    if runtime:
        places["XDG_RUNTIME_DIR"] = tmp_path / "run"
    for place in places.values():
        place.mkdir(mode=0o700)
    root = places.get("XDG_RUNTIME_DIR", places["TMPDIR"])
    if not runtime and (not psutil.LINUX or Path(f"/run/user/{os.getuid()}").exists()):
        pytest.skip("this user's records lie in a folder that no variable moves")
    base = root if runtime else root / f"runtime-{os.getuid()}"
    records = base / "edgeq"
    for folder in (base, records):
        folder.mkdir(mode=0o700, exist_ok=True)
    here = os.getpid()
    board = processes.Running(
        "virtual_m4", "/dev/pts/0", here, "x.elf", "now", str(processes.identity(here)), "virtual"
    )
    (records / f"{here}.json").write_text(json.dumps(asdict(board)))
    env = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "EDGEQ_", "PYTEST_"))}
    env |= {**{k: str(v) for k, v in places.items()}, "EDGEQ_EXPORT_TARGET": "nothing"}
    seen = "from edgeq.flashers import running; print(len(running()))"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TRIED]
    told = [
        subprocess.run(each, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
        for each in ([sys.executable, "-c", seen], command)
    ]
    assert told[0].stdout.strip() == "1", "the board is there to be seen"
    assert told[1].returncode == 0, told[1].stdout
    assert [path.name for path in records.iterdir()] == [f"{here}.json"]
    assert [path.name for path in places["TMPDIR"].iterdir() if "edgeq-tests" in path.name] == []


def test_whatever_looks_at_the_users_fails() -> None:
    for event, path in (
        ("open", "/run/user/7/edgeq/12.json"),
        ("os.scandir", "/run/user/7/edgeq"),
        ("open", "/sys/bus/usb/devices/1-1/idVendor"),
        ("os.listdir", Path("/media")),
    ):
        with pytest.raises(AssertionError, match="the user's"):
            _refuse(event, (path,), ("/run/user/7/edgeq",))
    _refuse("open", ("/run/user/7/other",), ("/run/user/7/edgeq",))
    with pytest.raises(AssertionError, match="the user's"):
        os.listdir("/media")
    if psutil.LINUX:
        with pytest.raises(AssertionError, match="the user's"):
            psutil.disk_partitions()
