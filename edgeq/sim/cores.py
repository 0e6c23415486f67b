"""The cores that the virtual board models: prices, identity, and what each of them has."""

from collections.abc import Callable
from dataclasses import dataclass

from edgeq.errors import BadInput
from edgeq.sim import (
    rules_cortex_m0plus,
    rules_cortex_m3,
    rules_cortex_m4,
    rules_cortex_m7,
    rules_cortex_m33,
)
from edgeq.sim.encodings import DSP, FPV5, THUMB2


@dataclass(frozen=True)
class CoreModel:
    """`prices(first_load_extra)`: half cycles by timing class. `cpuid`: the SCB's register.

    `features`: instruction sets of decode.py; none of these cores computes in double precision.
    """

    name: str
    rules_version: str
    prices: Callable[[int], dict[str, int]]
    cpuid: int
    cycle_counter: bool  # DWT CYCCNT; without it a firmware has SysTick
    features: frozenset[str]
    dual_issue: bool = False


CORES: dict[str, CoreModel] = {
    core.name: core
    for core in (
        CoreModel(
            name="cortex-m0plus",
            rules_version=rules_cortex_m0plus.RULES_VERSION,
            prices=rules_cortex_m0plus.prices,
            cpuid=0x410CC601,  # r0p1
            cycle_counter=False,
            features=frozenset(),
        ),
        CoreModel(
            name="cortex-m3",
            rules_version=rules_cortex_m3.RULES_VERSION,
            prices=rules_cortex_m3.prices,
            cpuid=0x412FC231,  # r2p1
            cycle_counter=True,
            features=frozenset({THUMB2}),
        ),
        CoreModel(
            name="cortex-m4",
            rules_version=rules_cortex_m4.RULES_VERSION,
            prices=rules_cortex_m4.prices,
            cpuid=0x410FC241,  # r0p1
            cycle_counter=True,
            features=frozenset({THUMB2, DSP}),
        ),
        CoreModel(
            name="cortex-m33",
            rules_version=rules_cortex_m33.RULES_VERSION,
            prices=rules_cortex_m33.prices,
            cpuid=0x410FD214,  # r0p4
            cycle_counter=True,
            features=frozenset({THUMB2, DSP, FPV5}),
        ),
        CoreModel(
            name="cortex-m7",
            rules_version=rules_cortex_m7.RULES_VERSION,
            prices=rules_cortex_m7.prices,
            cpuid=0x411FC271,  # r1p1
            cycle_counter=True,
            features=frozenset({THUMB2, DSP, FPV5}),
            dual_issue=True,
        ),
    )
}


@dataclass(frozen=True)
class RiscvCore:
    """A core whose clock counts instructions (riscv/clock.py): no rules with a source are known."""

    name: str
    rules_version: str = "rv32/0 (instructions, not cycles)"


RISCV_CORES = {name: RiscvCore(name) for name in ("rv32imc", "rv32imac")}


def arm_core(name: str) -> CoreModel:
    """A core of `CORES`; BadInput for one of another processor family."""
    if name not in CORES:
        raise BadInput(f"{name} is no Arm core: edgeq.sim.any_machine runs it")
    return CORES[name]


def price(classes: tuple[str, ...], table: dict[str, int]) -> int:
    """Half cycles of one instruction that falls in `classes`."""
    return sum(table[name] for name in classes)
