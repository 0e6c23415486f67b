"""The peripherals of each family of boards, one file per family.

`attach(bus)` puts a family's registers on the bus and returns the UART that the host reaches. The
names are those of firmware_templates/port. A board of any other family has memory, a core and a
clock, enough for `Machine.call` and for a firmware that touches no peripheral.
"""

from collections.abc import Callable

from edgeq.sim.bus import Bus
from edgeq.sim.families import mps2, nrf52, qemu_virt, rp2040, stm32f4, stm32l4
from edgeq.sim.uart import NoUart, Uart

FAMILIES: dict[str, Callable[[Bus], Uart]] = {
    "mps2": mps2.attach,
    "nrf52": nrf52.attach,
    "qemu_virt": qemu_virt.attach,
    "rp2040": rp2040.attach,
    "stm32f4": stm32f4.attach,
    "stm32l4": stm32l4.attach,
}


def attach_family(bus: Bus) -> Uart:
    """The registers of `bus.config.family`; none where that family has no model."""
    attach = FAMILIES.get(bus.config.family)
    return NoUart() if attach is None else attach(bus)
