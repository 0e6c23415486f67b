"""A place as `labgrid-client show` tells it: who holds it, what it is, where its serial port is."""

import ast
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgeq.errors import Link
from edgeq.flashers.processes import here
from edgeq.places.labgrid import Labgrid
from edgeq.plain_text import command, one_line

_FIELD = re.compile(r"^  (tags|acquired|allowed|comment): (.*)$", re.MULTILINE)
_RESOURCE = re.compile(
    r"^(?:Acquired|Matching) resource '[^\n]*' \(([^\n]*)\):\n((?:  .*\n?)+)", re.MULTILINE
)
_SCHEMES = {"raw": "socket", "rfc2217": "rfc2217"}
_YES = frozenset({"1", "yes", "true"})


@dataclass(frozen=True)
class Serial:
    """A serial port that the network carries; `path` is its device on the exporter's computer."""

    host: str
    port: int
    protocol: str = "rfc2217"
    path: str | None = None

    @property
    def url(self) -> str:
        """As pyserial opens it; at once, not after five seconds, where nobody answers."""
        return f"{_SCHEMES[self.protocol]}://{self.host}:{self.port}"


@dataclass(frozen=True)
class Place:
    """`holder` is "HOST/USER", None while it is free; `storage`: it exports a drive to copy to."""

    name: str
    holder: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()
    serials: tuple[Serial, ...] = ()
    storage: bool = False

    @property
    def board(self) -> str | None:
        """The board's name: the tag `board`."""
        return self.tags.get("board")

    @property
    def virtual(self) -> bool:
        """The tag `virtual=yes`: what stands there is an emulator, whose latency is modelled."""
        return self.tags.get("virtual", "").lower() in _YES

    @property
    def serial(self) -> Serial:
        """Its one serial port. Raises Link when there is none, or several."""
        if len(self.serials) == 1:
            return self.serials[0]
        if not self.serials:
            raise Link(
                f"place {self.name} has no serial port (NetworkSerialPort) that is there: is its "
                f"exporter running, and does `{command('labgrid-client', '-p', self.name, 'show')}`"
                " list one?"
            )
        listed = ", ".join(each.url for each in self.serials)
        raise Link(
            f"place {self.name} has {len(self.serials)} serial ports ({listed}); match one of them "
            "(`labgrid-client add-match`), or hold the place yourself and name one with --port"
        )

    @property
    def here(self) -> bool:
        """Whether its serial port is one of this computer."""
        return here(self.serial.host)


def read_place(labgrid: Labgrid, name: str) -> Place:
    """The place of that name, alias or unambiguous part of a name. Raises as `Labgrid.run`."""
    return place_in(labgrid.run("-p", name, "show"))


def read_places(labgrid: Labgrid) -> tuple[Place, ...]:
    """All places of the coordinator, by name."""
    names = [line for line in labgrid.run("complete", "places").splitlines() if line]
    return tuple(read_place(labgrid, name) for name in sorted(names))


def place_in(text: str) -> Place:
    """What `labgrid-client show` said. Raises Link for what is no such text."""
    head = re.match(r"Place '(.*)':\n", text)
    told = dict(_FIELD.findall(text))
    if head is None or "acquired" not in told:
        raise Link(f"labgrid-client show said {one_line(text[:60])!r}, not a place")
    resources = [_facts(body) for _, body in _RESOURCE.findall(text)]
    there = [each for each in resources if each.get("avail")]
    return Place(
        name=one_line(head[1]),
        holder=None if told["acquired"] == "None" else one_line(told["acquired"]),
        tags=dict(_tags(told.get("tags", ""))),
        allowed=tuple(filter(None, told.get("allowed", "").split(", "))),
        serials=tuple(s for each in there if (s := _serial(each)) is not None),
        storage=any(each.get("cls") == "NetworkUSBMassStorage" for each in there),
    )


def _tags(text: str) -> list[tuple[str, str]]:
    pairs = [each.partition("=") for each in text.split(", ") if each]
    return [(one_line(key), one_line(value)) for key, _, value in pairs]


def _facts(body: str) -> dict[str, Any]:
    """The printed dict: literals only, nothing is run."""
    try:
        value = ast.literal_eval(body.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _serial(facts: Mapping[str, Any]) -> Serial | None:
    """Of a NetworkSerialPort; None for another resource, or one whose port nobody serves yet."""
    if facts.get("cls") != "NetworkSerialPort" or not isinstance(facts.get("params"), dict):
        return None
    params = facts["params"]
    host, port, protocol = params.get("host"), params.get("port"), params.get("protocol", "rfc2217")
    extra = params.get("extra") if isinstance(params.get("extra"), dict) else {}
    told = isinstance(host, str) and re.fullmatch(r"[\w.:-]+", host) and protocol in _SCHEMES
    if not told or type(port) is not int or not 0 < port < 65536:
        return None
    path = extra.get("path")
    return Serial(host, port, protocol, path if isinstance(path, str) else None)


def reachable(serial: Serial, wait_s: float) -> bool:
    """Whether anyone takes a connection there."""
    try:
        socket.create_connection((serial.host, serial.port), timeout=wait_s).close()
    except OSError:
        return False
    return True
