"""The cores that the virtual board models: prices, identity, and what each of them lacks."""

from collections.abc import Callable
from dataclasses import dataclass

from edgeq.sim import rules_cortex_m0plus, rules_cortex_m4


@dataclass(frozen=True)
class CoreModel:
    """`prices(first_load_extra)`: half cycles by timing class. `cpuid`: the SCB's register."""

    name: str
    rules_version: str
    prices: Callable[[int], dict[str, int]]
    cpuid: int
    cycle_counter: bool  # DWT CYCCNT; without it a firmware has SysTick
    thumb2: bool  # False: ARMv6-M, which knows few 32-bit encodings


CORES: dict[str, CoreModel] = {
    core.name: core
    for core in (
        CoreModel(
            name="cortex-m4",
            rules_version=rules_cortex_m4.RULES_VERSION,
            prices=rules_cortex_m4.prices,
            cpuid=0x410FC241,  # r0p1
            cycle_counter=True,
            thumb2=True,
        ),
        CoreModel(
            name="cortex-m0plus",
            rules_version=rules_cortex_m0plus.RULES_VERSION,
            prices=rules_cortex_m0plus.prices,
            cpuid=0x410CC601,  # r0p1
            cycle_counter=False,
            thumb2=False,
        ),
    )
}


def price(classes: tuple[str, ...], table: dict[str, int]) -> int:
    """Half cycles of one instruction that falls in `classes`."""
    return sum(table[name] for name in classes)
