"""The clock enables of an STM32's RCC, in every line alike."""

from edgeq.sim.registers import Block, Gate


def clock_gate(rcc: Block, register: int, bit: int) -> Gate:
    """The gate of a peripheral whose clock is `bit` of the enable register at `register`."""

    def why() -> str:
        if rcc.words[register] >> bit & 1:
            return ""
        return f"has no clock (bit {bit} of 0x{rcc.base + register:08x} is 0)"

    return why
