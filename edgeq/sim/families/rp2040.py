"""RP2040: boot ROM, serial flash, clocks, UART0, timer, GPIO, the marker (RP2040 datasheet)."""

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block
from edgeq.sim.rp2040 import clocks, gpio, pll, resets, rom, ssi, timer, uart, xosc
from edgeq.sim.uart import Uart

SSI_BASE, PADS_QSPI_BASE = 0x18000000, 0x40020000
RESETS_BASE, CLOCKS_BASE, XOSC_BASE, PLL_BASE = 0x4000C000, 0x40008000, 0x40024000, 0x40028000
IO_BANK_BASE, SIO_BASE = 0x40014000, 0xD0000000
TIMER_BASE, WATCHDOG_BASE = 0x40054000, 0x40058000
IO_BANK0, PLL_SYS, TIMER, UART0 = 5, 12, 21, 22  # bits of RESETS
PADS_QSPI = dict.fromkeys(range(0x00, 0x1C, 4), 0x52)


def attach(bus: Bus) -> Uart:
    """The firmware begins in the boot ROM, and may not execute from flash before that is set up."""
    config = bus.config.port_config
    reset = resets.Resets(bus, RESETS_BASE)
    crystal = xosc.Xosc(bus, XOSC_BASE)
    system = pll.Pll(bus, PLL_BASE, reset.gate(PLL_SYS), lambda: crystal.hz)
    clock = clocks.Clocks(bus, CLOCKS_BASE, crystal, system)
    bank = gpio.IoBank(bus, IO_BANK_BASE, reset.gate(IO_BANK0))
    watchdog = timer.Watchdog(bus, WATCHDOG_BASE, clock)
    serial = uart.Pl011(
        bus,
        config["UART_BASE"],
        reset.gate(UART0),
        lambda: clock.peri_hz,
        lambda: bank.function(config["UART_TX_PIN"]) == gpio.FUNCTION_UART,
    )
    flash = ssi.Ssi(bus, SSI_BASE, ssi.Flash(quad="QUAD_ENABLED" not in bus.config.stuck))
    others = (
        Block(bus, "PADS_QSPI", PADS_QSPI_BASE, PADS_QSPI),
        timer.Timer(bus, TIMER_BASE, reset.gate(TIMER), watchdog),
        gpio.Sio(bus, SIO_BASE, bank),
    )
    for block in (reset, crystal, system, clock, bank, watchdog, serial, flash, *others):
        bus.map(block.base, block)
    bus.boot = lambda: rom.start(bus)
    bus.execution_refused = flash.why_not
    bus.baud = lambda: serial.baud
    return serial.wire
