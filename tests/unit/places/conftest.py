"""A farm of a stand-in of labgrid-client, a real process; this user is vm/alice."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgeq.places import Labgrid
from tests.labgrid_stand_in import install, serial_port


class Farm:
    """Its client, and what the coordinator knows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ports = {"bench-a": 5001, "bench-b": 5002, "far": 5003}
        hosts = {"far": "lab7"}
        places = {
            name: {
                "tags": {"board": "virtual_m4"},
                "resources": [serial_port(port, hosts.get(name, "localhost"))],
            }
            for name, port in ports.items()
        }
        self.client = Labgrid(str(install(folder, places)))

    def places(self) -> dict[str, Any]:
        known: dict[str, Any] = json.loads((self.folder / "places.json").read_text())
        return known

    def change(self, name: str, **facts: object) -> None:
        places = self.places()
        places[name] |= facts
        (self.folder / "places.json").write_text(json.dumps(places))

    def holder(self, name: str) -> object:
        return self.places()[name].get("holder")


@pytest.fixture
def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Farm:
    monkeypatch.setenv("LG_USERNAME", "alice")
    monkeypatch.setenv("LG_HOSTNAME", "vm")
    monkeypatch.delenv("LG_COORDINATOR", raising=False)
    return Farm(tmp_path / "labgrid")
