"""One probe among several: `--probe SERIAL` leaves its port and its drive, and nothing else.

A probe that shows a drive and a serial port is one USB device: both carry its serial number.
"""

import dataclasses
import os
from pathlib import Path

from edgeq.errors import BadInput, Link
from edgeq.flashers.attached import Surroundings, look
from edgeq.flashers.usb import UsbDevice, usb_devices

BLOCK_DEVICES = Path("/sys/dev/block")


def drive_serial(volume: Path, blocks: Path = BLOCK_DEVICES) -> str | None:
    """The serial number of the USB device that holds the drive; None where that is not shown."""
    try:
        device = os.stat(volume).st_dev
        place = (blocks / f"{os.major(device)}:{os.minor(device)}").resolve(strict=True)
    except OSError:  # gone, or no sysfs
        return None
    for folder in place.parents:
        if (folder / "idVendor").is_file():
            try:
                return (folder / "serial").read_text(errors="replace").strip() or None
            except OSError:
                return None
    return None


def with_serials(around: Surroundings) -> Surroundings:
    """`around`, with the serial numbers of its drives as far as the system shows them."""
    found = ((volume, drive_serial(volume)) for volume in around.volumes)
    return dataclasses.replace(
        around, drive_serials={volume: number for volume, number in found if number}
    )


def look_at(probe: str | None) -> Surroundings:
    """What is plugged in, of that probe alone if one is named. Raises as require_probe."""
    return require_probe(with_serials(look()), probe)


def of_probe(around: Surroundings, probe: str | None) -> Surroundings:
    """What of `around` belongs to the probe of that serial number; all of it for None.

    A drive of unknown serial number stays: it may be that probe's.
    """
    if probe is None:
        return around
    drives = around.drive_serials
    return dataclasses.replace(
        around,
        devices=tuple(d for d in around.devices if _same(d.serial_number, probe)),
        volumes=tuple(v for v in around.volumes if v not in drives or _same(drives[v], probe)),
        probe=probe,
    )


def require_probe(
    around: Surroundings, probe: str | None, seen: tuple[UsbDevice, ...] | None = None
) -> Surroundings:
    """As of_probe. BadInput for a text that is no serial number, Link for one that is not here."""
    if probe is None:
        return around
    if not probe or not all(33 <= ord(sign) <= 126 for sign in probe):
        raise BadInput(
            f"--probe {probe!r} is no serial number: `edgeq boards` shows those that are attached"
        )
    numbers = {device.serial_number: device.port for device in around.devices}
    numbers |= {number: str(drive) for drive, number in around.drive_serials.items()}
    others = usb_devices() if seen is None else seen
    numbers |= {
        d.serial_number: d.name for d in others if d.kind and d.serial_number not in numbers
    }
    if not any(_same(number, probe) for number in numbers):
        listed = ", ".join(f"{number} ({what})" for number, what in numbers.items() if number)
        raise Link(
            f"no probe of serial number {probe} is attached; attached: {listed or 'none'}; look "
            "with `edgeq boards`"
        )
    return of_probe(around, probe)


def probe_port(probe: str) -> str:
    """The serial port of that probe; Link if it is not attached, or has none or several."""
    ports = [device.port for device in look_at(probe).devices]
    if len(ports) == 1:
        return ports[0]
    what = f"has {len(ports)} serial ports ({', '.join(ports)})" if ports else "has no serial port"
    raise Link(f"probe {probe} {what}; name the board's port with --port")


def _same(number: str | None, probe: str) -> bool:
    return number is not None and number.lower() == probe.lower()
