"""What `edgeq flash`, `edgeq boards` and `edgeq stop` say: plain lines, and the JSON objects."""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from edgeq.board import Board
from edgeq.flashers.attached import Surroundings
from edgeq.flashers.processes import Running
from edgeq.flashers.usb import UsbDevice
from edgeq.plain_text import command, plain

_EVIDENCE = {
    "silicon": "run on silicon",
    "emulator": "run in an emulator, not on silicon",
    "compiled": "only compiled, not run on silicon",
}


def flash_text(result: dict[str, Any]) -> str:
    """A few lines of what was built and done, the last one the next step."""
    result = plain(result)
    port = result["port"]
    lines = [
        f"board      {result['board']} (this port has been {_EVIDENCE[result['evidence']]})",
        f"compiler   {result['compiler']}",
        f"firmware   {result['elf']}",
        f"sizes      {result['flash_bytes']:,} B of flash, {result['ram_bytes']:,} B of RAM",
        f"tool       {result['tool']}" + (" (dry run: nothing was run)" * result["dry_run"]),
        *(f"command    {each}" for each in result["commands"]),
    ]
    if port is not None:
        lines.append(f"port       {port}" + (f" (pid {result['pid']})" if result["pid"] else ""))
    if not result["dry_run"]:
        seen = "the board runs this firmware" if result["verified"] else "not asked"
        lines.append(f"verified   {seen}")
    if result.get("hint"):
        lines.append(f"note       {result['hint']}")
    if not result["dry_run"]:
        place = result.get("place")
        there = ("--place", place) if place else ("--port", port or "PORT")
        lines.append(f"next       {command('edgeq', 'profile', *there)}")
    return "\n".join(lines)


def boards_json(
    known: Sequence[Board], attached: Sequence[Board], running: Sequence[Running]
) -> dict[str, Any]:
    """The known boards with their evidence, the attached ones, the emulated ones that run."""
    return {
        "boards": [
            {
                "name": board.name,
                "description": board.description,
                "core": board.core,
                "evidence": board.evidence,
                "tools": list(board.probe.flashers),
            }
            for board in known
        ],
        "attached": [board.name for board in attached],
        "running": running_json(running),
    }


def attached_json(around: Surroundings, devices: Sequence[UsbDevice]) -> dict[str, Any]:
    """Serial ports, probes' drives, and the probes, boot loaders and meters on USB."""
    return {
        "ports": [asdict(device) for device in around.devices],
        "drives": [str(volume) for volume in around.volumes],
        "devices": [
            {
                "what": device.kind.what,
                "kind": device.kind.name,
                "name": device.name,
                "usb_id": device.usb_id,
                "serial_number": device.serial_number,
            }
            for device in devices
            if device.kind is not None
        ],
    }


def running_json(running: Sequence[Running]) -> list[dict[str, Any]]:
    """Board, port, pid, elf and start (UTC) of each emulated board."""
    return [
        {key: value for key, value in asdict(record).items() if key != "identity"}
        for record in running
    ]


def _seen(board: dict[str, Any]) -> str:
    """A real board whose port ran on its twin alone is no emulator."""
    if board["evidence"] != "emulator":
        return str(board["evidence"])
    return "emulated" if set(board["tools"]) <= {"qemu", "virtual"} else "twin only"


def boards_text(facts: dict[str, Any]) -> str:
    """The same as lines."""
    facts = plain(facts)
    lines = [
        textwrap.fill(
            f"{board['name']:16} {_seen(board):9} {board['description']}",
            80,
            subsequent_indent=" " * 27,
        )
        for board in facts["boards"]
    ]
    attached = facts["attached"]
    could = "could be one of: " if len(attached) > 1 else ""
    lines += ["", "attached: " + (could + ", ".join(attached) if attached else "none")]
    lines.append("ports:" + ("" if facts["ports"] else " none"))
    lines += [
        f"  {port['port']:16} {port['usb_id']}  {port['serial_number'] or ''}".rstrip()
        for port in facts["ports"]
    ]
    lines += [f"drive: {drive}" for drive in facts["drives"]]
    lines.append("probes and meters:" + ("" if facts["devices"] else " none"))
    lines += [
        f"  {each['what']:12} {each['kind']}: {each['name']} ({each['usb_id']})"
        + (f"  {each['serial_number']}" if each["serial_number"] else "")
        for each in facts["devices"]
    ]
    lines.append("running:" + ("" if facts["running"] else " none"))
    return "\n".join(lines + running_lines(facts["running"]))


def running_lines(running: Sequence[dict[str, Any]]) -> list[str]:
    """One line for each emulated board."""
    return [
        f"  {each['board']:16} {each['tool']:8} {each['port']:12} pid {each['pid']}  "
        f"since {each['started']}  {each['elf']}"
        for each in map(plain, running)
    ]
