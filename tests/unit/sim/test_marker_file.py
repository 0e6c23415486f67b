"""The file of the marker's edges: written at once, never over what is no file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgeq.errors import BadInput
from edgeq.sim.marker_file import MarkerFile
from tests.hang import HANG_S
from tests.unit.sim import guests


def test_an_edge_is_there_at_once(tmp_path: Path) -> None:
    path = tmp_path / "edges"
    path.write_text("of yesterday")
    with MarkerFile(path) as edges:
        assert path.read_text() == ""
        edges.edge(70, 1, 120_000_000)
        assert json.loads(path.read_text()) == {"cycles": 70, "level": 1, "hz": 120_000_000}


def test_only_a_regular_file_is_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")  # opening it would wait for a reader
    for place, said in (("fifo", "no regular file"), (".", "no regular file"),
                        ("absent/edges", "No such file")):  # fmt: skip
        with pytest.raises(BadInput, match=said):
            MarkerFile(tmp_path / place)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with MarkerFile(tmp_path / "link") as edges:
        edges.edge(1, 1, 1)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_ends_the_board_with_one_line(tmp_path: Path, monkeypatch) -> None:
    edges = MarkerFile(tmp_path / "edges")
    monkeypatch.setattr(edges, "_file", open("/dev/full", "w", buffering=1))  # noqa: SIM115
    with pytest.raises(BadInput, match=r"cannot write the marker's edges .*No space left"):
        edges.edge(1, 1, 1)


def test_the_simulator_refuses_a_place_that_cannot_be_written(build, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgeq.sim", str(build(guests.ECHO)), "--stdio", "--marker"]
    done = subprocess.run(
        [*command, str(tmp_path)], stdin=subprocess.DEVNULL, capture_output=True, timeout=HANG_S
    )
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"no regular file" in done.stderr
