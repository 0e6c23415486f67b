"""Where a board is found: a port that was named, the only one, or a place of a farm."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgeq.errors import BadInput
from edgeq.flashers import is_virtual
from edgeq.flashers.one_port import find_port
from edgeq.places import find_labgrid, held

GREETING_S = 20.0
EMULATED_GREETING_S = 120.0  # a busy computer gives an emulated board little time


class Sought(Protocol):
    """What a request says of its board: the options of these names."""

    @property
    def port(self) -> str | None:
        """Its serial port."""

    @property
    def probe(self) -> str | None:
        """Its probe's serial number."""

    @property
    def place(self) -> str | None:
        """Its place in a farm."""

    @property
    def coordinator(self) -> str | None:
        """The farm's."""

    @property
    def labgrid(self) -> Path | None:
        """Where labgrid-client is."""


@dataclass(frozen=True)
class Seat:
    """A port, and whether a virtual board, whose clock is modelled, serves it."""

    port: str
    virtual: bool

    @property
    def greeting_s(self) -> float:
        """How long its first answer may take."""
        return EMULATED_GREETING_S if self.virtual else GREETING_S


@contextmanager
def seat_of(request: Sought) -> Iterator[Seat]:
    """The board's port; a place is held for as long as the block runs.

    Raises BadInput for a place and a port, Link without a board, Taken for a place that another
    user holds, Toolchain without labgrid.
    """
    if request.place is None:
        port = request.port or find_port(request.probe)
        yield Seat(port, is_virtual(port))
        return
    if request.port is not None or request.probe is not None:
        raise BadInput("--place has a port of its own; leave out --port and --probe")
    with held(find_labgrid(request.labgrid, request.coordinator), request.place) as place:
        port = place.serial.url
        yield Seat(port, place.virtual or is_virtual(port))
