"""How labgrid's client is found and asked, and what its refusals become."""

from pathlib import Path

import pytest

from edgeq.errors import BadInput, Link, Toolchain
from edgeq.places import Labgrid, find_labgrid, read_places
from edgeq.places.place import read_place
from tests.unit.places.conftest import Farm


def test_a_program_an_environment_the_variable_or_path(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = farm.client.program
    assert find_labgrid(program).program == program
    (tmp_path / "env" / "bin").mkdir(parents=True)
    (tmp_path / "env" / "bin" / "labgrid-client").symlink_to(program)
    assert find_labgrid(tmp_path / "env").program == str(tmp_path / "env/bin/labgrid-client")
    monkeypatch.setenv("EDGEQ_LABGRID", program)
    assert find_labgrid(coordinator="lab:20408") == Labgrid(program, "lab:20408")
    monkeypatch.delenv("EDGEQ_LABGRID")
    monkeypatch.setenv("PATH", str(farm.folder))
    assert find_labgrid().program == program


def test_without_it_the_lines_that_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEQ_LABGRID", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Toolchain, match=r"not on PATH; install.*`uv tool install labgrid`"):
        find_labgrid()
    with pytest.raises(Toolchain, match="is no labgrid-client and holds none; install"):
        find_labgrid(tmp_path)
    with pytest.raises(Toolchain, match=r"cannot be run: No such file.*; install"):
        Labgrid(str(tmp_path / "gone")).run("who")


@pytest.mark.parametrize("address", ["", " ", "-p"])
def test_no_address(address: str) -> None:
    with pytest.raises(BadInput, match="give HOST:PORT"):
        find_labgrid("/bin/true", address)


def test_its_refusals(farm: Farm) -> None:
    absent = Labgrid(farm.client.program, "127.0.0.1:9")
    with pytest.raises(Link, match=r"coordinator 127.0.0.1:9 does not answer; start it"):
        read_places(absent)
    with pytest.raises(BadInput, match="refuses: place pattern nowhere matches nothing"):
        read_place(farm.client, "nowhere")
    with pytest.raises(BadInput, match="matches multiple places"):
        read_place(farm.client, "bench")


def test_a_client_that_hangs(tmp_path: Path) -> None:
    slow = tmp_path / "labgrid-client"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    with pytest.raises(Link, match=r"who did not end within 0\.2 s"):
        Labgrid(str(slow)).run("who", deadline_s=0.2)


def test_all_places(farm: Farm) -> None:
    farm.change("bench-b", holder="vm/bob")
    found = {place.name: place for place in read_places(farm.client)}
    assert sorted(found) == ["bench-a", "bench-b", "far"]
    assert (found["bench-a"].holder, found["bench-b"].holder) == (None, "vm/bob")
    assert found["bench-a"].serial.url == "socket://localhost:5001"
    assert (found["bench-a"].here, found["far"].here) == (True, False)
