"""Which boards hang on this computer: serial devices by USB id, mounted volumes by label."""

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from edgeq.board import Board, all_boards, find_boards, load_board
from edgeq.errors import Link

# a probe's or boot ROM's drive carries one of these, an ordinary stick of the same name does not
_PROBE_FILES = frozenset({"details.txt", "mbed.htm", "info_uf2.txt"})
_RETURN_S = 10.0  # a probe that copied a file to flash restarts its USB
_CALM_S = 0.2
_OF_WINDOWS = frozenset({"9p", "drvfs"})  # its drives, as a Linux under Windows mounts them


@dataclass(frozen=True)
class Device:
    """A serial device; `usb_id` is "vvvv:pppp" in lower-case hex."""

    port: str
    usb_id: str
    serial_number: str | None = None


@dataclass(frozen=True)
class Surroundings:
    """What is plugged in at one moment: USB serial devices, and the folders of probes' drives.

    `drive_serials`: of the drives whose USB device is known; `probe`: all of it is of that one.
    """

    devices: tuple[Device, ...] = ()
    volumes: tuple[Path, ...] = ()
    drive_serials: Mapping[Path, str] = field(default_factory=dict)
    probe: str | None = None


def look(
    ports: Callable[[], Iterable[Any]] | None = None,
    mounts: Callable[[], Iterable[Path]] | None = None,
) -> Surroundings:
    """Looks around. `ports` is list_ports.comports, `mounts` gives the folders drives stand at."""
    if (ports, mounts) == (None, None) and devices_hidden():
        return Surroundings()
    from serial.tools.list_ports import comports  # type: ignore[import-untyped]

    devices = [
        Device(info.device, f"{info.vid:04x}:{info.pid:04x}", info.serial_number)
        for info in (ports or comports)()
        if info.vid is not None and info.pid is not None
    ]
    volumes = sorted(folder for folder in set((mounts or _mounts)()) if is_probe_volume(folder))
    return Surroundings(tuple(sorted(devices, key=lambda device: device.port)), tuple(volumes))


def devices_hidden() -> bool:
    """True under EDGEQ_DEVICES=none: nothing that is plugged in is looked for."""
    return os.environ.get("EDGEQ_DEVICES") == "none"


def _mounts() -> list[Path]:
    """Where this computer's drives are mounted; of a network's none, which may hang."""
    try:
        disks = {disk.mountpoint for disk in psutil.disk_partitions(all=False)}
        every = psutil.disk_partitions(all=True)
    except OSError:  # no /proc
        return []
    return [Path(d.mountpoint) for d in every if d.mountpoint in disks or d.fstype in _OF_WINDOWS]


def is_probe_volume(folder: Path) -> bool:
    """True if `folder` is the drive of a debug probe or boot ROM, told by a file in it."""
    try:
        return any(entry.name.lower() in _PROBE_FILES for entry in folder.iterdir())
    except OSError:
        return False


def volumes_of(board: Board, around: Surroundings) -> tuple[Path, ...]:
    """The drives that carry one of the board's labels; a desktop numbers a second one of a name."""
    labels = "|".join(re.escape(label) for label in board.probe.volumes)
    wanted = re.compile(rf"({labels})\d?", re.IGNORECASE)
    return tuple(v for v in around.volumes if labels and wanted.fullmatch(v.name))


def only_volume(board: Board, around: Surroundings, absent: str) -> Path:
    """The one drive of the board that is mounted; Link that says `absent`, or lists several."""
    drives = volumes_of(board, around)
    if len(drives) > 1:
        listed = (f"{around.drive_serials.get(drive, 'of unknown serial number')} ({drive})"
                  for drive in drives)  # fmt: skip
        raise Link(
            f"{board.name}: several drives are mounted; name one with --probe, or leave one: "
            f"{', '.join(listed)}"
        )
    if not drives:
        raise Link(absent)
    return drives[0]


def devices_of(board: Board, around: Surroundings) -> tuple[Device, ...]:
    """The serial devices that carry one of the board's USB ids."""
    return tuple(device for device in around.devices if device.usb_id in board.probe.usb_ids)


def attached_boards(around: Surroundings) -> tuple[Board, ...]:
    """The boards that could be attached.

    Several boards share the probe's USB id; when every probe has its drive mounted, the labels
    decide between them.
    """
    possible = tuple(board for board in all_boards() if devices_of(board, around))
    labelled = tuple(board for board in all_boards() if volumes_of(board, around))
    probes = {device.port for board in possible for device in devices_of(board, around)}
    drives = {drive for board in labelled for drive in volumes_of(board, around)}
    if labelled and len(drives) >= len(probes):
        return labelled
    return tuple(board for board in all_boards() if board in possible or board in labelled)


def choose_board(name: str | None, around: Surroundings | None = None) -> Board:
    """The board called `name`, or the attached one.

    None takes the only attached board; a name that could mean several takes the attached one among
    them. Raises BadInput for an unknown name, Link when none or several are attached.
    """
    meant = find_boards(name) if name is not None else all_boards()
    if name is not None and len(meant) <= 1:
        return meant[0] if meant else load_board(name)
    here = attached_boards(around or look())
    among = tuple(board for board in here if board in meant)
    if len(among) == 1:
        return among[0]
    listed = ", ".join(board.name for board in meant)
    if among:
        raise Link(
            f"what is attached could be {', '.join(board.name for board in among)}: name one with "
            "--board, or one with --probe, or mount the drive of the board, whose label tells"
        )
    if name is None:
        raise Link(
            f"no board is attached; plug one in, name one with --board ({listed}), or take "
            "--board virtual_m4, which needs no hardware"
        )
    raise Link(f"{name!r} could mean {listed}; none of them is attached: name one with --board")


def require_attached(board: Board, around: Surroundings) -> None:
    """Raises Link unless `board` could be among what is attached."""
    here = attached_boards(around)
    if board in here:
        return
    seen = f"; attached: {', '.join(b.name for b in here)}" if here else ""
    raise Link(
        f"{board.name} is not attached{seen}; plug it in (USB id {' or '.join(board.probe.usb_ids)}"
        "), look with `edgeq boards`, or name a tool with --with to try all the same"
    )


def the_probe(board: Board, around: Surroundings) -> str | None:
    """The serial number of the probe to take: the one that was named, or the only one of its kind.

    Of several the one whose drive carries the board's label. None when none is seen, or it has no
    number; Link when there are several.
    """
    if around.probe is not None:
        return around.probe
    devices = devices_of(board, around)
    labelled = {around.drive_serials.get(volume) for volume in volumes_of(board, around)} - {None}
    told = [device for device in devices if device.serial_number in labelled]
    if len(devices) > 1 and len(told) == 1:
        return told[0].serial_number
    if len(devices) > 1:
        listed = ", ".join(f"{d.serial_number or 'no number'} ({d.port})" for d in devices)
        raise Link(
            f"{len(devices)} probes of the kind {board.name} has are attached, and its chip cannot "
            f"be told from here: name one with --probe: {listed}"
        )
    return devices[0].serial_number if devices else None


def serial_port(
    board: Board, look: Callable[[], Surroundings], wait_s: float = _RETURN_S
) -> str | None:
    """The board's serial port, waiting while its probe restarts; None if it is not to be told."""
    deadline = time.monotonic() + wait_s
    while True:
        devices = devices_of(board, look())
        if devices or time.monotonic() >= deadline:
            return devices[0].port if len(devices) == 1 else None
        time.sleep(_CALM_S)
