"""An export brought to the board of a place: by the tools here, or through the place's exporter."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeq import flashers, pipeline
from edgeq.board import Board, load_board
from edgeq.errors import BadInput, Link
from edgeq.flashers.processes import same_port
from edgeq.places import Labgrid, Place, find_labgrid, held
from edgeq.plain_text import command

Watch = flashers.flasher.Watch
COPY_S = 180.0


@dataclass(frozen=True)
class HowToFlash:
    """As the options of `edgeq flash` that have these names."""

    firmware: Path = Path("build/export")
    compiler: str = "auto"
    tool: str | None = None
    verify: bool = True
    marker: str = "levels"
    baud: int | None = None
    probe: str | None = None


def flash_at(
    name: str,
    board: str | None,
    how: HowToFlash,
    watch: Watch = flashers.unwatched,
    *,
    labgrid: str | Path | None = None,
    coordinator: str | None = None,
) -> dict[str, Any]:
    """Holds the place, flashes its board, and lets it go: the result of `edgeq flash`.

    Raises as `edgeq.flash` does, and Taken for a place that another user holds.
    """
    client = find_labgrid(labgrid, coordinator)
    watch(None, f"reserving {name}")
    with held(client, name) as place:
        return flash_held(client, place, board, how, watch)


def flash_held(
    client: Labgrid,
    place: Place,
    board: str | None,
    how: HowToFlash,
    watch: Watch = flashers.unwatched,
) -> dict[str, Any]:
    """The same of a place that is held already."""
    chosen = _board(place, board)
    if how.tool == "virtual" or "virtual" in chosen.probe.flashers:
        result = _started(place, chosen, how, watch)
    elif place.here:
        result = _flashed(chosen.name, place.serial.url, how, watch)
    else:
        result = _copied(client, place, chosen, how, watch)
    return result | {"place": place.name}


def _board(place: Place, named: str | None) -> Board:
    if named is None and place.board is None:
        tag = command("labgrid-client", "-p", place.name, "set-tags", "board=NAME")
        raise BadInput(
            f"which board is at place {place.name}? name it with --board, or once for all with "
            f"`{tag}`"
        )
    given = load_board(str(named or place.board))
    if place.board is not None and load_board(place.board).name != given.name:
        raise BadInput(
            f"place {place.name} has a {place.board} (its tag board), not a {given.name}; take a "
            "place of that board: `edgeq farm list`"
        )
    return given


def _started(place: Place, board: Board, how: HowToFlash, watch: Watch) -> dict[str, Any]:
    """A virtual board where the place's port is: the old one makes room."""
    serial = place.serial
    if not place.here or serial.protocol != "raw":
        raise Link(
            f"place {place.name} is at {serial.url}; a virtual board is started on the computer "
            "of its exporter alone, at a NetworkSerialPort of protocol raw: run `edgeq flash "
            "--place` there"
        )
    for record in flashers.running():
        if same_port(record.port, serial.url):
            flashers.stop(str(record.pid))
    return pipeline.flash(
        board.name,
        how.firmware,
        how.compiler,
        "virtual",
        port=serial.url,
        verify=how.verify,
        watch=watch,
        marker=how.marker,
        baud=how.baud,
        serve=f"{serial.host}:{serial.port}",
    )


def _flashed(board: str, port: str, how: HowToFlash, watch: Watch) -> dict[str, Any]:
    """A board of this computer, by its own tools; it is asked through the exporter's port."""
    return pipeline.flash(
        board,
        how.firmware,
        how.compiler,
        how.tool,
        port=port,
        verify=how.verify,
        watch=watch,
        marker=how.marker,
        baud=how.baud,
        probe=how.probe,
    )


def _copied(
    client: Labgrid, place: Place, board: Board, how: HowToFlash, watch: Watch
) -> dict[str, Any]:
    """Another computer's board: labgrid copies the image to the drive of its probe."""
    url = place.serial.url
    if how.tool not in (None, "mass_storage") or not place.storage:
        there = command("edgeq", "flash", "--place", place.name, "--board", board.name)
        raise Link(
            f"the board of place {place.name} is at {place.serial.host}, and "
            f"{'--with ' + how.tool if how.tool else 'the place exports no drive to copy to'}; "
            "export its probe's drive (USBMassStorage), or flash it on that computer: "
            f"`{there}`; `edgeq profile --place` works from here"
        )
    result = pipeline.build(board.name, how.firmware, how.compiler, how.marker, how.baud)
    image = str(Path(result["elf"]).with_suffix(".bin").resolve())
    words = ("-p", place.name, "write-files", "-p", "0", image)
    watch(None, "labgrid write-files")
    client.run(*words, deadline_s=COPY_S)
    if how.verify:
        watch(None, "verifying")
        flashers.verify_or_stop(url, result["firmware_digest"], result["baud"], None)
    return {
        **result,
        "bin": image,
        "tool": "labgrid",
        "commands": [command("labgrid-client", *words)],
        "port": url,
        "pid": None,
        "dry_run": False,
        "hint": None,
        "verified": how.verify,
    }
