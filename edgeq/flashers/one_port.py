"""Which port is meant where none is named: that of the only board there is."""

from collections.abc import Sequence

from edgeq.board import all_boards
from edgeq.errors import Link
from edgeq.flashers.attached import look
from edgeq.flashers.probes import probe_port
from edgeq.flashers.processes import running


def find_port(probe: str | None = None) -> str:
    """The port of that probe, or of the only board there is: attached or emulated. Raises Link."""
    if probe is not None:
        return probe_port(probe)
    known = {usb_id for board in all_boards() for usb_id in board.probe.usb_ids}
    attached = [
        f"{d.port} (USB {d.usb_id}, probe {d.serial_number})"
        for d in look().devices
        if d.usb_id in known
    ]
    return only_port([*attached, *(f"{r.port} ({r.board})" for r in running())])


def only_port(found: Sequence[str]) -> str:
    """The port of the only "PORT (what it is)"; Link, listing them, when it is not one."""
    if len(found) == 1:
        return found[0].partition(" ")[0]
    if not found:
        raise Link(
            "no board is attached and no emulated one runs; start one with `edgeq flash --board "
            "virtual_m4`, or name its port with --port"
        )
    raise Link(
        f"{len(found)} boards are there; choose one with --port, or by its probe with --probe: "
        f"{', '.join(found)}"
    )
