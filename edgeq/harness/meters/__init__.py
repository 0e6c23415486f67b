"""Current meters behind one interface: `open_meter(name, request).capture(work) -> PowerTrace`.

METERS is all there is; a new meter is one file here and one line there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from edgeq.errors import BadInput, Meter
from edgeq.harness.meters import joulescope, lpm01a, model, ppk2
from edgeq.harness.meters.meter import CurrentMeter, MeterRequest, Session, Work

__all__ = [
    "METERS",
    "CurrentMeter",
    "MeterKind",
    "MeterRequest",
    "Session",
    "Work",
    "attached",
    "meter_port",
    "meters_json",
    "open_meter",
]


@dataclass(frozen=True)
class MeterKind:
    """What there is to know of a meter without opening it."""

    title: str
    open: Callable[[MeterRequest], CurrentMeter]
    usb_ids: tuple[str, ...] = ()  # "vvvv:pppp", lower-case hex
    serial: bool = True  # reached through a serial port
    extra: str | None = None  # the optional part of edgeq that it needs
    rates_hz: tuple[int, ...] = ()
    marks: str = "levels"  # what it sees of the marker pin: "levels", or "falling edges"


METERS: dict[str, MeterKind] = {
    "model": MeterKind(model.TITLE, model.open_model, serial=False),
    "lpm01a": MeterKind(
        lpm01a.TITLE,
        lpm01a.open_lpm01a,
        lpm01a.USB_IDS,
        rates_hz=lpm01a.RATES_HZ,
        marks="falling edges",
    ),
    "ppk2": MeterKind(ppk2.TITLE, ppk2.open_ppk2, ppk2.USB_IDS, rates_hz=(ppk2.RATE_HZ,)),
    "joulescope": MeterKind(
        joulescope.TITLE,
        joulescope.open_joulescope,
        joulescope.USB_IDS,
        serial=False,
        extra=joulescope.EXTRA,
        rates_hz=joulescope.RATES_HZ,
    ),
}


def meters_json(usb: Iterable[tuple[str, str]], ids: Iterable[str] = ()) -> dict[str, Any]:
    """The object of `edgeq meters`. `usb`: serial (port, id) pairs; `ids`: all other USB ids."""
    serial, seen = list(usb), set(ids)
    return {
        "meters": [
            {
                "name": name,
                "title": kind.title,
                "ports": [port for found, port in attached(serial) if found == name],
                "attached": bool(seen.union(i for _, i in serial) & set(kind.usb_ids)),
                "usb_ids": list(kind.usb_ids),
                "rates_hz": list(kind.rates_hz),
                "marks": kind.marks,
                "extra": kind.extra,
            }
            for name, kind in METERS.items()
        ]
    }


def open_meter(name: str, request: MeterRequest) -> CurrentMeter:
    """Opens the meter called `name`. Raises BadInput for an unknown one, else what it raises."""
    if name not in METERS:
        raise BadInput(f"--meter {name} is not one of {', '.join(METERS)}")
    return METERS[name].open(request)


def attached(usb: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """(meter, port) of each serial device whose USB id is a meter's; `usb` is (port, id) pairs."""
    return [
        (name, port)
        for port, usb_id in usb
        for name, kind in METERS.items()
        if usb_id in kind.usb_ids
    ]


def meter_port(name: str, usb: Iterable[tuple[str, str]]) -> str | None:
    """The port of the only meter `name` there is; None for one that needs no port.

    Raises Meter when none or several are attached.
    """
    kind = METERS.get(name)
    if kind is None or not kind.serial:
        return None
    ports = [port for found, port in attached(usb) if found == name]
    if len(ports) == 1:
        return ports[0]
    if not ports:
        raise Meter(
            f"no {kind.title} is attached (USB id {' or '.join(kind.usb_ids)}); plug it in, or "
            "name its port with --meter-port"
        )
    raise Meter(
        f"{len(ports)} of {kind.title} are attached; choose one with --meter-port: "
        f"{', '.join(sorted(ports))}"
    )
