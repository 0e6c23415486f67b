"""The cores that edgeq compiles for."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Facts(BaseModel):
    """Frozen; a key that is not declared here is an error, so a misspelt fact cannot hide."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Core(Facts):
    """A core edgeq can compile for, with each compiler's name for it."""

    name: str
    fpu: str | None  # GCC's -mfpu value; None means soft float
    dsp: bool
    zig_cpu: str
    mve: bool = False  # Helium, integers at least
    isa: Literal["arm", "riscv"] = "arm"
    thumb2: bool = True  # False: ARMv6-M, where long products and shifts are calls


CORES: dict[str, Core] = {
    core.name: core
    for core in (
        Core(name="cortex-m0plus", fpu=None, dsp=False, zig_cpu="cortex_m0plus", thumb2=False),
        Core(name="cortex-m3", fpu=None, dsp=False, zig_cpu="cortex_m3"),
        Core(name="cortex-m4", fpu="fpv4-sp-d16", dsp=True, zig_cpu="cortex_m4"),
        Core(name="cortex-m33", fpu="fpv5-sp-d16", dsp=True, zig_cpu="cortex_m33"),
        Core(name="cortex-m7", fpu="fpv5-sp-d16", dsp=True, zig_cpu="cortex_m7"),
        Core(name="cortex-m55", fpu="auto", dsp=True, zig_cpu="cortex_m55", mve=True),
        Core(name="rv32imc", fpu=None, dsp=False, zig_cpu="generic_rv32+m+c", isa="riscv"),
        Core(name="rv32imac", fpu=None, dsp=False, zig_cpu="generic_rv32+m+a+c", isa="riscv"),
    )
}
