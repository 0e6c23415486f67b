"""Brings a built firmware to its board: one file per tool."""

import dataclasses
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgeq.board import Board
from edgeq.errors import BadInput, Flash, Link, Toolchain
from edgeq.flashers import (
    bossac,
    cubeprogrammer,
    dfu_util,
    esptool,
    mass_storage,
    openocd,
    pyocd,
    qemu,
    teensy_loader,
    uf2,
    virtual,
)
from edgeq.flashers.attached import (
    Surroundings,
    attached_boards,
    choose_board,
    look,
    require_attached,
    serial_port,
)
from edgeq.flashers.flasher import Facts, Flasher, Watch, unwatched
from edgeq.flashers.probes import look_at, of_probe, probe_port, require_probe, with_serials
from edgeq.flashers.processes import Running, is_virtual, running, stop
from edgeq.flashers.verify import verify_or_stop
from edgeq.plain_text import command
from edgeq.toolchain import Firmware

__all__ = [
    "FLASHERS",
    "Running",
    "Surroundings",
    "attached_boards",
    "choose_board",
    "flash",
    "is_virtual",
    "look",
    "look_at",
    "probe_port",
    "running",
    "stop",
    "unwatched",
    "verify_or_stop",
]

FLASHERS: dict[str, Flasher] = {
    "virtual": virtual.FLASHER,
    "qemu": qemu.FLASHER,
    "openocd": openocd.FLASHER,
    "mass_storage": mass_storage.FLASHER,
    "pyocd": pyocd.FLASHER,
    "cubeprogrammer": cubeprogrammer.FLASHER,
    "uf2": uf2.FLASHER,
    "dfu_util": dfu_util.FLASHER,
    "bossac": bossac.FLASHER,
    "esptool": esptool.FLASHER,
    "teensy_loader": teensy_loader.FLASHER,
}
EMULATED = (virtual.TOOL, "qemu")
_OTHER_NAMES = frozenset({cubeprogrammer.PROGRAM.lower(), "stm32cubeprogrammer", "cube_programmer"})


def flash(
    firmware: Firmware,
    board: Board,
    tool: str | None = None,
    dry_run: bool = False,
    look: Callable[[], Surroundings] = look,
    watch: Watch = unwatched,
    probe: str | None = None,
    marker_file: Path | None = None,
    serve: str | None = None,
    sound: Path | None = None,
) -> dict[str, Any]:
    """Flashes `board`, or starts it where it is emulated, with the first of its tools that is here.

    Every board may also be started as its virtual twin: tool "virtual", never taken unasked.
    Returns bin, tool, commands (shell-quoted), port, pid, dry_run and hint. A dry run only names
    the commands, also those of a tool that is not installed. `watch` hears how far it is. `probe`
    is the serial number of the one to take among several, `marker_file` where a virtual board
    writes the edges of its marker pin, `serve` the HOST:PORT of its serial port, `sound` the WAV
    file that its microphone hears. Raises BadInput for an unknown tool, Toolchain without a usable
    one, Link when the board is not attached, Flash when flashing fails.
    """
    firmware = dataclasses.replace(firmware, elf=firmware.elf.resolve(), bin=firmware.bin.resolve())
    tool = tool_named(tool)
    whole = with_serials(look())
    around = of_probe(whole, probe) if dry_run else require_probe(whole, probe)
    if not dry_run and tool is None and board.probe.usb_ids:
        require_attached(board, around)
    name, facts = _tool(board, tool, dry_run, around)
    if probe is not None and name in EMULATED:
        raise BadInput(f"--probe names a debug probe; {board.name} is emulated by {name}")
    facts = _of_virtual(facts, marker_file, serve, sound, board, name)
    commands = FLASHERS[name].commands(firmware, board, facts)
    result: dict[str, Any] = {
        "bin": str(firmware.bin),
        "tool": name,
        "commands": [shlex.join(each) for each in commands],
        "port": None,
        "pid": None,
        "dry_run": dry_run,
        "hint": FLASHERS[name].hint(board),
    }
    if dry_run:
        return result
    watch(None, name)
    result |= _run(name, firmware, board, dataclasses.replace(facts, watch=watch), commands)
    if board.probe.usb_ids and name != virtual.TOOL:
        number = facts.serial_number if name != "uf2" else probe  # its drive is no probe's
        result |= _port_of(board, lambda: of_probe(look(), number), result["hint"])
    return result


def _run(
    name: str, firmware: Firmware, board: Board, facts: Facts, commands: tuple[tuple[str, ...], ...]
) -> dict[str, Any]:
    """What the tool did; a failure names the tool to try next."""
    try:
        return FLASHERS[name].run(firmware, board, facts, commands)
    except Flash as error:
        raise Flash(f"{error}\n{_next_step(board, name)}") from None


def _of_virtual(
    facts: Facts,
    marker_file: Path | None,
    serve: str | None,
    sound: Path | None,
    board: Board,
    tool: str,
) -> Facts:
    """With what only a virtual board takes. Raises BadInput for another."""
    if marker_file is not None:
        facts = dataclasses.replace(facts, marker_file=_marker_file(marker_file, board, tool))
    if serve is not None:
        facts = dataclasses.replace(facts, serve=_served(serve, board, tool))
    if sound is not None:
        facts = dataclasses.replace(facts, sound=_sound(sound, board, tool))
    return facts


def _marker_file(path: Path, board: Board, tool: str) -> Path:
    """For the process that will write it, wherever that runs."""
    if tool != virtual.TOOL:
        raise BadInput(
            f"--marker-file is for a virtual board; the marker of {board.name} with {tool} is "
            f"{board.marker.pin}, which a current meter watches: `edgeq profile --meter`"
        )
    return path.absolute()


def _sound(path: Path, board: Board, tool: str) -> Path:
    """For the process that will read it; a board that cannot hear it is told before it starts."""
    if tool != virtual.TOOL:
        raise BadInput(
            f"--sound is for a virtual board; {board.name} with {tool} hears its own microphone"
        )
    from edgeq.sim.wav_file import Playback

    Playback.of(path, board.name, board.port.family)
    return path.absolute()


def _served(address: str, board: Board, tool: str) -> str:
    """For a virtual board alone: a real one has its port where its probe is."""
    if tool != virtual.TOOL:
        raise BadInput(
            f"--serve is for a virtual board; {board.name} with {tool} has its own port, which "
            "ser2net or a labgrid exporter can serve (docs/farm.md)"
        )
    return address


def tool_named(given: str | None) -> str | None:
    """A tool by our name for it; also `dfu-util` and the name of ST's program."""
    if given is None:
        return None
    known = given.strip().lower().replace("-", "_")
    return "cubeprogrammer" if known in _OTHER_NAMES else known


def _tool(board: Board, tool: str | None, dry_run: bool, around: Surroundings) -> tuple[str, Facts]:
    """The tool asked for, or the first usable one in the board's order, and its facts."""
    names = board.probe.flashers if tool is None else (tool,)
    offered = tuple(dict.fromkeys((*board.probe.flashers, virtual.TOOL)))
    if tool is not None and tool not in offered:
        raise BadInput(f"{tool!r} is no tool for {board.name}; there are: {', '.join(offered)}")
    why = []
    for name in names:
        try:
            return name, FLASHERS[name].find(board, around)
        except (Toolchain, Link) as error:
            why.append(error)
    if dry_run:
        facts = FLASHERS[names[0]].assumed(board)
        return names[0], dataclasses.replace(facts, serial_number=around.probe)
    if len(why) == 1:
        raise why[0]
    raise Toolchain(f"no tool can flash {board.name}: " + "; ".join(map(str, why)))


def _next_step(board: Board, name: str) -> str:
    if not board.probe.usb_ids or name == virtual.TOOL:
        again = command("edgeq", "flash", "--board", board.name)
        return f"rebuild with `{again}`, or look with `edgeq boards`"
    others = ", ".join(other for other in board.probe.flashers if other != name)
    return (
        "next: check the cable and that no other program holds the probe (on Linux also its udev "
        f"rules), or try another tool with --with: {others}"
    )


def _port_of(
    board: Board, look: Callable[[], Surroundings], hint: str | None
) -> dict[str, str | None]:
    """The flashed board's serial port, or what to do without."""
    port = serial_port(board, look)
    if port is None:
        missing = (
            "its serial port was not found; name it yourself: edgeq profile --port PORT, or its "
            "probe: --probe SERIAL"
        )
        hint = f"{hint}; {missing}" if hint else missing
    return {"port": port, "hint": hint}
