"""The same ELF in QEMU: the same bytes on the serial port, the same instructions."""

from pathlib import Path

import pytest

from edgeq.sim import BufferPort, Machine
from tests.emulated import qemu_counts
from tests.hang import HANG_S
from tests.unit.sim.conftest import Build, build  # noqa: F401
from tests.unit.sim.guests import KERNEL

HANDLERS = "void SVC_Handler(void) { note(1); } void SysTick_Handler(void) {}\n"
PROGRAM = (
    KERNEL
    + HANDLERS
    + """
#define DATA REG(0x40004000u)
#define STATE REG(0x40004004u)
#define CTRL REG(0x40004008u)
void PendSV_Handler(void) { note(2); }
static void put(uint32_t byte) {
    while (STATE & 1u) {
    }
    DATA = byte;
}
static uint32_t table[64];
static __attribute__((noinline)) int32_t dot(const int8_t *a, const int8_t *b, int n) {
    int32_t sum = 0;
    for (int i = 0; i < n; i++) {
        sum += a[i] * b[i] / 3;
    }
    return sum;
}
static __attribute__((noinline)) uint32_t depth(uint32_t n) {
    return n < 2u ? n : depth(n - 1u) + depth(n - 2u);
}
int main(void) {
    CTRL = 1u;
    uint32_t x = 12345u;
    for (uint32_t i = 0; i < 64u; i++) {
        x = x * 1664525u + 1013904223u;
        table[i] = x;
    }
    int32_t sum = dot((const int8_t *)table, (const int8_t *)(table + 32), 128);
    uint64_t wide = (uint64_t)x * x + depth(10u);
    __asm volatile("svc #0" ::: "memory");
    ICSR = 1u << 28;
    __asm volatile("dsb\\n isb" ::: "memory");
    for (int shift = 28; shift >= 0; shift -= 4) {
        put("0123456789abcdef"[((uint32_t)sum ^ (uint32_t)wide ^ order) >> shift & 15u]);
    }
    return 0;
}
"""
)


@pytest.mark.skipif(not qemu_counts.HERE, reason="no qemu-system-arm here")
@pytest.mark.parametrize("core", ["cortex-m3", "cortex-m4"])
def test_bytes_and_instructions_are_qemus(build: Build, core: str, tmp_path: Path) -> None:  # noqa: F811
    elf = build(PROGRAM, core=core)
    port = BufferPort()
    result = Machine(port=port).load(elf).run(deadline_s=HANG_S)
    assert result.reason == "exit"
    qemu = qemu_counts.in_qemu(elf, tmp_path)
    assert len(qemu.said) == 8
    assert port.take() == qemu.said
    assert result.instructions == qemu.instructions > 2000
