"""Where a cell may run: the places, ports and twins of a board, those that died left out."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from edgeq import flashers, pipeline
from edgeq.errors import BadInput, Link
from edgeq.farming.flashing import HowToFlash, flash_held
from edgeq.farming.log import Log
from edgeq.farming.matrix import BoardEntry, Matrix
from edgeq.places import Labgrid, Place, held, read_places
from edgeq.profile_request import ProfileRequest


@dataclass(frozen=True)
class Stand:
    """A board that may be used: the name of a `place`, a serial `port`, or neither: its twin."""

    board: str
    place: str | None = None
    port: str | None = None

    @property
    def name(self) -> str:
        """For people."""
        return self.place or self.port or "virtual"


def stands_of(matrix: Matrix, client: Labgrid | None) -> dict[str, list[Stand]]:
    """Of each board. Raises BadInput for a board that no place of the farm has."""
    tagged = _tagged(client) if client and any(e.farmed for e in matrix.boards.values()) else ()
    return {board: _of(board, entry, tagged) for board, entry in matrix.boards.items()}


def _tagged(client: Labgrid) -> tuple[Place, ...]:
    return tuple(place for place in read_places(client) if place.board is not None)


def _of(board: str, entry: BoardEntry, tagged: tuple[Place, ...]) -> list[Stand]:
    if entry.virtual:
        return [Stand(board)]
    if entry.ports is not None:
        return [Stand(board, port=port) for port in entry.ports]
    names = entry.places or [place.name for place in tagged if place.board == board]
    if not names:
        raise BadInput(
            f"no place of the farm has a {board}: tag it with `labgrid-client -p NAME set-tags "
            f"board={board}`, or name places, ports or virtual = true below [boards.{board}]"
        )
    return [Stand(board, place=name) for name in names]


@contextmanager
def standing(
    stand: Stand, client: Labgrid | None, firmware: Path, compiler: str, log: Log
) -> Iterator[ProfileRequest]:
    """The export on the board, for as long as the block profiles it: where to find it."""
    how = HowToFlash(firmware, compiler)
    if stand.place is not None:
        assert client is not None  # who has places has asked for it
        log.add(held=stand.place)
        try:
            with held(client, stand.place, alone=True) as place:
                flash_held(client, place, stand.board, how)
                yield replace(_through(client, place), firmware=firmware)
        finally:
            log.add(released=stand.place)
    elif stand.port is not None:
        pipeline.flash(stand.board, firmware, compiler, port=stand.port)
        yield ProfileRequest(firmware, stand.port)
    else:
        started = pipeline.flash(stand.board, firmware, compiler, "virtual")
        try:
            yield ProfileRequest(firmware, started["port"])
        finally:
            with suppress(Link):  # it has ended by itself, which the profile has met
                flashers.stop(str(started["pid"]))


def _through(client: Labgrid, place: Place) -> ProfileRequest:
    """A place that is held: `profile` uses what its user holds, and leaves it."""
    program = Path(client.program)
    return ProfileRequest(place=place.name, coordinator=client.coordinator, labgrid=program)
