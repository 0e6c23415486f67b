"""A kernel executes the same instructions whatever the activations: traced on an emulated core.

The compilers write a choice between two values as an IT block. The emulator does not report its
instructions when their condition is false; the core spends a cycle on them either way. So the
one-cycle instructions of an IT block are left out of a trace; a branch, load or store is not.
"""

from dataclasses import dataclass
from pathlib import Path

import capstone
import numpy as np
import pytest
import unicorn
from elftools.elf.elffile import ELFFile
from unicorn import arm_const as arm

from edgeq.kernels import KERNELS
from edgeq.kernels.recurrent import RECURRENT_DSP
from edgeq.ops.fixed_point import exp_table
from edgeq.ops.gemmlowp import exp_q31_table
from tests.kernels import samples

FLASH, RAM, SIZE = 0x10000, 0x20000000, 0x40000
RETURN = FLASH + SIZE - 16  # an address no code is at
PLAIN = [k.name.replace("edgeq_", "run_", 1) for k in KERNELS if not k.isa]
SAME = [
    k.name.replace("edgeq_", "run_", 1) for k in RECURRENT_DSP
]  # their calls are the plain ones
RUNS = [*PLAIN, *SAME, "run_router_s8_escalation", "run_log_mel_s16_of_512"]
SAMPLED = (
    "run_softmax_q31_s8",
    "run_mean_pool_2d_s8",
    "run_fully_connected_s8_t2",
    "run_conv_2d_s8_s4",
    "run_layer_norm_s8",
    "run_router_s8",
)


THUMB = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
ONE_CYCLE = ("mov", "mvn", "add", "sub", "rsb", "orr", "and", "eor", "cmp", "lsl", "lsr", "asr")


@dataclass(frozen=True)
class Program:
    """The linked kernels: bytes of flash and the addresses of symbols."""

    flash: bytes
    address: dict[str, int]


@pytest.fixture(scope="module")
def program(linked: Path) -> Program:
    """The kernels of one compiler, and the calls of constant_time.c."""
    with linked.open("rb") as file:
        parsed = ELFFile(file)
        symbols = parsed.get_section_by_name(".symtab").iter_symbols()
        text = parsed.get_section_by_name(".text")
        assert text["sh_addr"] == FLASH
        return Program(text.data(), {s.name: s["st_value"] for s in symbols if s.name})


def constants(rng: np.random.Generator) -> dict[str, samples.Array]:
    """Memory that stays the same over the runs; outputs are mostly inside int8."""
    return {
        "weight": rng.integers(0, 2**32, 1024).astype(np.uint32) & np.uint32(0x77777777),
        "bias": rng.integers(-500, 500, 64).astype(np.int32),
        "multiplier": rng.integers(2**30, 2**31, 64).astype(np.int32),
        "shift": rng.integers(-9, -4, 64).astype(np.int8),
        "gamma_q": rng.integers(-300, 300, 64).astype(np.int16),
        "exp_table": np.append(exp_table(0.05), np.uint16(0)),
        "exp_q31": exp_q31_table(0.05),
        "mask": rng.integers(0, 256, 64).astype(np.uint8),
        "prior": rng.integers(0, 5000, 5).astype(np.int64),
    }


def trace(program: Program, name: str, x: samples.Array) -> list[int]:
    """Addresses of the instructions that one call executes."""
    core = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
    core.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M4)
    core.mem_map(FLASH, SIZE)
    core.mem_map(RAM, SIZE)
    core.mem_write(FLASH, program.flash)
    for symbol, values in {**constants(np.random.default_rng(5)), "x": x}.items():
        core.mem_write(program.address[symbol], values.tobytes())
    core.reg_write(arm.UC_ARM_REG_SP, RAM + SIZE)
    core.reg_write(arm.UC_ARM_REG_LR, RETURN | 1)
    seen: list[int] = []
    core.hook_add(unicorn.UC_HOOK_CODE, lambda _core, at, _size, _data: seen.append(at))
    core.emu_start(program.address[name] | 1, RETURN, timeout=20_000_000, count=2_000_000)
    assert core.reg_read(arm.UC_ARM_REG_PC) & ~1 == RETURN
    return steady(program, seen)


def predicated(program: Program, at: int) -> list[int]:
    """Addresses of one-cycle instructions in the IT block at `at`, if there is one."""
    code = program.flash[at - FLASH : at - FLASH + 18]
    if code[1] != 0xBF or not code[0] & 15:
        return []
    length = 4 - ((code[0] & -code[0]).bit_length() - 1)
    block = [*THUMB.disasm(code[2:], at + 2)][:length]
    return [i.address for i in block if i.mnemonic.startswith(ONE_CYCLE)]


def steady(program: Program, seen: list[int]) -> list[int]:
    """A trace without the instructions whose report depends on a condition."""
    drop = {a for at in set(seen) for a in predicated(program, at)}
    return [at for at in seen if at not in drop]


@pytest.mark.parametrize(
    "name", [n if n in SAMPLED else pytest.param(n, marks=pytest.mark.full) for n in RUNS]
)
def test_instructions_do_not_depend_on_activations(program: Program, name: str) -> None:
    rng = np.random.default_rng(1)
    first = trace(program, name, samples.activations(rng, "random", (4096,)))
    for fill in ("low", "ends"):
        again = trace(program, name, samples.activations(rng, fill, (4096,)))
        assert first == again, f"{name} branches on its data"


def test_another_shape_would_be_seen(program: Program) -> None:
    """The negative case of the trace: two kernels do not execute the same."""
    x = np.zeros(4096, np.int8)
    relu = trace(program, "run_relu_s8", x)
    assert len(relu) > 40
    assert relu != trace(program, "run_add_s8", x)
