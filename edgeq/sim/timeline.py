"""What goes on by itself while the core runs or sleeps: devices, each with a next moment."""

from typing import Protocol


class Device(Protocol):
    """A peripheral that does something at times of its own. Times are whole cycles."""

    def due(self) -> int | None:
        """When it next does something; None while it stands still."""

    def advance(self, now: int) -> None:
        """Do all that is due by `now`."""


class Timeline:
    """The devices of a board."""

    def __init__(self) -> None:
        self._devices: list[Device] = []

    def add(self, device: Device) -> None:
        """`device` belongs to the board."""
        self._devices.append(device)

    def due(self) -> int | None:
        """When the first of them does something; None while all stand still."""
        return min((at for one in self._devices if (at := one.due()) is not None), default=None)

    def advance(self, now: int) -> None:
        """Let them do all that is due by `now`."""
        for device in self._devices:
            device.advance(now)
