"""A firmware that stopped by a fault says so on its line; here it becomes words.

The firmware's side is report_fault of firmware_templates/port/cortex_m/startup.c, edgeq_trap of
port/riscv/startup.c. Both say it again to each frame or text command.
"""

import re

from edgeq.errors import Link

# Line ends are escaped in frames, so no frame's content looks like this.
FAULT = re.compile(rb"\r\ne-\[fault at pc ([0-9a-f]{8})((?: [a-z0-9]+ [0-9a-f]{8})*)\]\r\n")
MOST_BYTES = 160  # of such a line
# Armv7-M Architecture Reference Manual, B3.2.15
CFSR = {
    0: "execution of an address that allows none", 1: "data access that memory protection forbids",
    4: "no stack for an exception", 8: "instruction fetch from no memory",
    9: "data access to no memory", 10: "late data access to no memory",
    12: "no stack for an exception", 16: "undefined instruction", 17: "jump to no Thumb code",
    18: "broken exception return", 19: "floating point or coprocessor that is off",
    20: "stack limit", 24: "unaligned access", 25: "division by zero",
}  # fmt: skip
BFAR_VALID = 15
MCAUSE = {0: "misaligned jump", 1: "instruction fetch from no memory", 2: "illegal instruction",
          4: "misaligned load", 5: "load from no memory", 6: "misaligned store",
          7: "store to no memory"}  # fmt: skip


class Faulted(Link):
    """The firmware on the board stopped by a fault, and says which."""


def fault_in(said: bytes) -> str | None:
    """The last fault that a board told in `said`, in words; None without one.

    >>> fault_in(b"..\\r\\ne-[fault at pc 08000abc cfsr 00008200 address f0000000]\\r\\n")
    'data access to no memory (0xf0000000) at pc 0x08000abc; cfsr 00008200'
    """
    found = list(FAULT.finditer(said))
    if not found:
        return None
    names = found[-1][2].decode().split()
    facts = dict(zip(names[::2], names[1::2], strict=True))
    rest = ", ".join(f"{name} {word}" for name, word in facts.items() if name != "address")
    what = f"{_cause(facts)} at pc 0x{found[-1][1].decode()}"
    return f"{what}; {rest}" if rest else what


def _cause(facts: dict[str, str]) -> str:
    if "mcause" in facts:
        cause = int(facts["mcause"], 16)
        return f"{MCAUSE.get(cause, f'trap {cause}')} (0x{facts.get('mtval', '00000000')})"
    status = int(facts.get("cfsr", "0"), 16)
    causes = ", ".join(text for bit, text in CFSR.items() if status >> bit & 1)
    where = f" (0x{facts['address']})" if status >> BFAR_VALID & 1 and "address" in facts else ""
    return (causes or "a fault of no recorded cause") + where


def refuse_fault(said: bytes, port: str) -> None:
    """Raises Faulted where `said` tells of one."""
    if words := fault_in(said):
        raise Faulted(
            f"the firmware on {port} stopped by a fault: {words}; reset the board, and find the "
            "place with `arm-none-eabi-addr2line -e firmware.elf PC`"
        )
