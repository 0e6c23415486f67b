"""Who may open what: groups and udev rules (Linux), attached probes and meters, serial ports."""

import contextlib
import getpass
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from edgeq import flashers
from edgeq.diagnosing.finding import Finding
from edgeq.errors import EdgeqError, Link
from edgeq.flashers import Surroundings
from edgeq.flashers.usb import USB_KINDS, UsbDevice, UsbKind, known_devices, usb_devices
from edgeq.harness.fault import FAULT, refuse_fault
from edgeq.harness.port import Port

_RULES = ("etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d")
_OURS = "/etc/udev/rules.d/70-edgeq.rules"  # below 73, where uaccess is acted on
_SERIAL_GROUPS = ("dialout", "uucp")  # Debian and Fedora; Arch
_BAUD = 115200
_ASKED_S = 0.5


@dataclass(frozen=True)
class System:
    """Where the doctor looks, and for whom. `root` holds the folders of udev and etc/group."""

    root: Path = Path("/")
    platform: str = "linux"
    user_id: int = 0
    user_name: str = ""
    groups: frozenset[int] = frozenset()
    look: Callable[[], Surroundings] = field(default=flashers.look)
    usb: Callable[[], tuple[UsbDevice, ...]] = field(default=usb_devices)


def this_system() -> System:
    """The computer that this runs on, and its user."""
    posix = os.name == "posix"
    return System(
        platform=sys.platform,
        user_id=os.geteuid() if posix else 1,
        user_name=_user_name(),
        groups=frozenset(os.getgroups()) if posix else frozenset(),
    )


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in some containers
        return "$USER"


def access(port: str | None, system: System | None = None) -> list[Finding]:
    """All findings about rights; `port` is looked at beside those of attached boards."""
    here = system or this_system()
    return [*groups(here), *rules(here), *devices(here), *ports(here, port)]


def rules(system: System) -> list[Finding]:
    """The udev rule of each family of probes and meters, Linux only."""
    if system.platform != "linux":
        return []
    if not any((system.root / folder).is_dir() for folder in _RULES):
        return [Finding("udev", "ok", "no udev here (a container?): what is passed in counts")]
    if system.user_id == 0:
        return [Finding("udev", "ok", "root may open every device")]
    lines = list(_rule_lines(system.root))
    return [_rule(kind, lines) for kind in USB_KINDS]


def _rule(kind: UsbKind, lines: list[tuple[Path, str]]) -> Finding:
    for path, line in lines:
        if _grants(line, kind):
            return Finding(f"udev.{kind.id}", "ok", f"{kind.name}: rule in {path}")
    found = f"{kind.name}: no udev rule lets this user open it"
    return Finding(f"udev.{kind.id}", "warning", found, rule_command(kind))


def rule_command(kind: UsbKind) -> str:
    """The shell line that adds the rule of `kind`."""
    return (
        f"echo {shlex.quote(kind.rule)} | sudo tee -a {_OURS}; "
        "sudo udevadm control --reload; sudo udevadm trigger"
    )


def _rule_lines(root: Path) -> Iterator[tuple[Path, str]]:
    """Every rule that gives rights, with its file; lines that go on are joined."""
    for folder in _RULES:
        for path in sorted((root / folder).glob("*.rules")):
            with contextlib.suppress(OSError):
                text = path.read_text(errors="replace").replace("\\\n", " ")
                for line in text.splitlines():
                    if re.search(r'MODE:?=|GROUP:?=|TAG\+="uaccess"', line.partition("#")[0]):
                        yield path, line.partition("#")[0]


def _grants(line: str, kind: UsbKind) -> bool:
    """True if `line` matches all products of `kind`."""
    vendor = re.search(r'ATTRS?\{idVendor\}=="([^"]*)"', line)
    product = re.search(r'ATTRS?\{idProduct\}=="([^"]*)"', line)
    if vendor is None or not _matches(vendor[1], kind.vendor):
        return False
    if product is None:
        return True
    return all(_matches(product[1], wanted) for wanted in kind.products)


def _matches(pattern: str, text: str) -> bool:
    """udev's match: alternatives of shell patterns."""
    return any(fnmatchcase(text, part) for part in pattern.lower().split("|"))


def groups(system: System) -> list[Finding]:
    """Whether the user is in the group of serial ports, Linux only."""
    members = _members(system.root)
    name = next((name for name in _SERIAL_GROUPS if name in members), None)
    if system.platform != "linux" or name is None:
        return []
    if system.user_id == 0:
        return [Finding("group", "ok", "root may open every serial port")]
    number, users = members[name]
    if number in system.groups:
        return [Finding("group", "ok", f"{system.user_name} is in {name}")]
    if system.user_name in users:
        found = f"{system.user_name} is in {name}, but not since this login"
        return [Finding("group", "warning", found, f"log out and in again, or: newgrp {name}")]
    found = f"{system.user_name} is not in {name}, the group of serial ports"
    fix = f"sudo usermod -aG {name} {system.user_name}, then log out and in again"
    return [Finding("group", "warning", found, fix)]


def _members(root: Path) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Number and members of each group of etc/group."""
    found = {}
    with contextlib.suppress(OSError):
        for line in (root / "etc/group").read_text(errors="replace").splitlines():
            fields = line.split(":")
            if len(fields) == 4 and fields[2].isdigit():
                found[fields[0]] = (int(fields[2]), tuple(fields[3].split(",")))
    return found


def devices(system: System) -> list[Finding]:
    """Probes and meters that are attached, and whether this user may open them."""
    seen = known_devices(system.look(), system.usb())
    found = [_device(device) for device in seen]
    for what, ids in (("probes", ("probe", "boot loader")), ("meters", ("meter",))):
        if not any(device.kind is not None and device.kind.what in ids for device in seen):
            found.append(Finding(what, "ok", "none is attached"))
    return found


def _device(device: UsbDevice) -> Finding:
    kind = device.kind
    assert kind is not None
    area = "meters" if kind.what == "meter" else "probes"
    number = f", serial {device.serial_number}" if device.serial_number else ""
    found = f"{kind.name}: {device.name} ({device.usb_id}{number})"
    if device.node is not None and not os.access(device.node, os.R_OK | os.W_OK):
        found += f"; this user may not open {device.node}"
        return Finding(f"{area}.{kind.id}", "error", found, rule_command(kind))
    return Finding(f"{area}.{kind.id}", "ok", found)


def ports(system: System, asked: str | None) -> list[Finding]:
    """Serial ports of boards and meters, of emulated boards, and the one asked for: do they open?

    Others are left alone: opening a port can reset what hangs on it.
    """
    names = [d.port for d in system.look().devices if any(k.holds(d.usb_id) for k in USB_KINDS)]
    try:
        names += [record.port for record in flashers.running()]
        found = []
    except EdgeqError as error:
        found = [Finding("emulated_boards", "error", *_split(error))]
    if asked is not None and asked not in names:
        names.append(asked)
    return found + [_port(name, name == asked) for name in names]


def _port(name: str, asked: bool) -> Finding:
    """Busy is no error unless this port was asked for: a run may hold it."""
    try:
        port = Port.open(name, _BAUD)
        try:
            refuse_fault(_answer(port) if asked else b"", name)
        finally:
            port.close()
    except Link as error:
        found, fix = _split(error)
        busy = " is busy" in found
        holder = _holder(name) if busy else None
        fix = f"close {holder}, which has it open" if holder else fix
        return Finding(f"port.{name}", "warning" if busy and not asked else "error", found, fix)
    return Finding(f"port.{name}", "ok", "exists, opens, nobody else has it")


def _answer(port: Port) -> bytes:
    """What the board says to half a command that means none; one that stopped says why."""
    port.write(b"%", _ASKED_S)
    said, ends = b"", time.monotonic() + _ASKED_S
    while time.monotonic() < ends and not FAULT.search(said):
        said += port.read(ends - time.monotonic())
    return said


def _split(error: EdgeqError) -> tuple[str, str]:
    """edgeq's errors say what is wrong, then what to do."""
    found, _, fix = str(error).partition("; ")
    return found, fix or "look with `edgeq boards`"


def _holder(name: str) -> str | None:
    """The process that has `name` open, as far as /proc tells this user.

    By hand, since psutil's open_files() names regular files alone, and a port is none.
    """
    target = os.path.realpath(name)
    for folder in Path("/proc").glob("[0-9]*/fd"):
        if int(folder.parent.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            for link in folder.iterdir():
                with contextlib.suppress(OSError):
                    if str(link.readlink()) == target:
                        command = (folder.parent / "comm").read_text().strip()
                        return f"{command} (pid {folder.parent.name})"
    return None
