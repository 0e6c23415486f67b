"""USB devices of this computer that edgeq knows: debug probes, boot loaders, current meters.

Linux lists them all in sysfs; elsewhere only those with a serial port are seen. Not by pyusb: it
needs libusb, and must open a device for its name and serial number, which whom the udev rules still
fail may not do: just the user that the doctor is for. sysfs tells everybody.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeq.flashers.attached import Surroundings, devices_hidden

SYSFS = Path("/sys/bus/usb/devices")


@dataclass(frozen=True)
class UsbKind:
    """A family of devices. `products` are udev patterns of product ids, `*` for all of a vendor."""

    id: str
    name: str
    what: Literal["probe", "boot loader", "meter"]
    vendor: str
    products: tuple[str, ...]

    def holds(self, usb_id: str) -> bool:
        """True for a "vvvv:pppp" of this family."""
        vendor, _, product = usb_id.partition(":")
        return vendor == self.vendor and bool({"*", product} & set(self.products))

    @property
    def rule(self) -> str:
        """The udev rule that gives it, and its serial port, to whoever sits at the computer."""
        match = f'SUBSYSTEM=="usb|tty|hidraw", ATTRS{{idVendor}}=="{self.vendor}"'
        if "*" not in self.products:
            match += f', ATTRS{{idProduct}}=="{"|".join(self.products)}"'
        # a modem manager that probes a board's port would take its first bytes
        return f'{match}, MODE="0660", TAG+="uaccess", ENV{{ID_MM_DEVICE_IGNORE}}="1"'


USB_KINDS: tuple[UsbKind, ...] = (
    UsbKind(
        "stlink",
        "ST-LINK",
        "probe",
        "0483",
        ("3748", "374b", "374d", "374e", "374f", "3752", "3753", "3754"),
    ),
    UsbKind("daplink", "DAPLink (CMSIS-DAP)", "probe", "0d28", ("0204",)),
    UsbKind("jlink", "J-Link", "probe", "1366", ("*",)),
    UsbKind("stm32_dfu", "STM32 boot loader (DFU)", "boot loader", "0483", ("df11",)),
    UsbKind("rp2", "RP2040 and RP2350", "boot loader", "2e8a", ("*",)),
    UsbKind("arduino", "Arduino boot loader", "boot loader", "2341", ("005a",)),
    UsbKind("teensy", "Teensy boot loader", "boot loader", "16c0", ("0478",)),
    UsbKind("lpm01a", "LPM01A power shield", "meter", "0483", ("5740",)),
    UsbKind("ppk2", "Nordic PPK2", "meter", "1915", ("c00a",)),
    UsbKind("joulescope", "Joulescope", "meter", "16d0", ("10ba", "0e88")),
)


@dataclass(frozen=True)
class UsbDevice:
    """One device; `node` is the file a tool opens, None where the system shows none."""

    usb_id: str
    name: str
    serial_number: str | None = None
    node: Path | None = None

    @property
    def kind(self) -> UsbKind | None:
        """Its family, None if edgeq does not know it."""
        return next((kind for kind in USB_KINDS if kind.holds(self.usb_id)), None)


def usb_devices(sysfs: Path = SYSFS, nodes: Path = Path("/dev/bus/usb")) -> tuple[UsbDevice, ...]:
    """Every USB device that sysfs shows, by its id; none where there is no sysfs."""
    found = []
    absent = not sysfs.is_dir() or (sysfs == SYSFS and devices_hidden())
    for folder in [] if absent else sorted(sysfs.glob("*")):
        vendor, product = _said(folder, "idVendor"), _said(folder, "idProduct")
        if not re.fullmatch(r"[0-9a-f]{4}", vendor) or not re.fullmatch(r"[0-9a-f]{4}", product):
            continue  # an interface or a hub's port, not a device
        bus, number = _said(folder, "busnum"), _said(folder, "devnum")
        numbered = bus.isdigit() and number.isdigit()
        node = nodes / f"{int(bus):03}" / f"{int(number):03}" if numbered else None
        name = _said(folder, "product") or f"{vendor}:{product}"
        serial = _said(folder, "serial") or None
        found.append(UsbDevice(f"{vendor}:{product}", name, serial, node))
    return tuple(sorted(found, key=lambda device: (device.usb_id, str(device.node))))


def known_devices(
    around: Surroundings, seen: tuple[UsbDevice, ...] | None = None
) -> tuple[UsbDevice, ...]:
    """Probes, boot loaders and meters that are attached: all of `seen` (by default, sysfs).

    Those with a serial port are known without sysfs too; such a device is named by its port.
    """
    devices = usb_devices() if seen is None else seen
    found = [device for device in devices if device.kind is not None]
    listed = {device.usb_id for device in found}
    for each in around.devices:
        device = UsbDevice(each.usb_id, each.port, each.serial_number)
        if device.kind is not None and each.usb_id not in listed:
            found.append(device)
    return tuple(found)


def _said(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_text(errors="replace").strip()
    except OSError:
        return ""
