"""Foreign firmwares: vectors that are not at the begin of flash, stacks of every kind."""

import pytest

from edgeq.board import load_board
from edgeq.sim import GuestFault, Machine
from edgeq.sim.layout import stack_limit, vector_table
from tests.hang import HANG_S
from tests.unit.sim.guests import KERNEL

NOTHING = "void SVC_Handler(void) {} void PendSV_Handler(void) {} void SysTick_Handler(void) {}\n"
BOOTABLE = KERNEL + NOTHING + "int main(void) { return 5; }\n"
BEHIND = BOOTABLE.replace(
    "uint8_t stack",
    '__attribute__((used, section(".vectors"))) static const uint32_t header[64] = {0xB5B5B5B5u};\n'
    "uint8_t stack",
    1,
)
DEEP = (
    KERNEL
    + NOTHING
    + """
__attribute__((noinline)) int down(volatile int *above) {
    volatile int here[16];
    here[0] = *above + 1;
    return down(here) + here[0];
}
int main(void) { volatile int start = 0; return down(&start); }
"""
)


@pytest.mark.parametrize("source", [BOOTABLE, BEHIND], ids=["at the begin", "behind a header"])
def test_the_vector_table_is_found(build, source):
    machine = Machine().load(build(source))
    assert vector_table(machine.image, machine.config) == machine.symbol("vectors")
    assert machine.run(deadline_s=HANG_S).exit_code == 5


def test_a_firmware_that_lies_in_ram_runs(build):
    board = load_board("nucleo_f401re")
    elf = build(BOOTABLE, flash=board.ram.origin, ram=board.ram.origin + 0x8000)
    assert Machine(board).load(elf).run(deadline_s=HANG_S).exit_code == 5


def test_without_any_vector_table_flash_is_asked(build):
    machine = Machine().load(build(BOOTABLE.replace("stack + sizeof stack", "0")))
    assert vector_table(machine.image, machine.config) == machine.config.flash_origin


def test_the_stack_may_fill_the_section_that_holds_it_or_reach_the_static_data(build):
    machine = Machine().load(build(BOOTABLE))
    image, config = machine.image, machine.config
    static = [part for part in image.sections if part.writable]
    bottom, end = min(part.address for part in static), max(part.end for part in static)
    assert stack_limit(image, config, machine.symbol("stack") + 4096) == bottom
    assert stack_limit(image, config, config.ram_origin + config.ram_bytes) == end


def test_the_linker_scripts_limit_comes_first(build):
    source = BOOTABLE + '__asm(".global __StackLimit\\n .set __StackLimit, 0x20003000");'
    machine = Machine().load(build(source))
    assert stack_limit(machine.image, machine.config, 0x20004000) == 0x20003000


def test_endless_recursion_is_a_stack_overflow_not_a_hang(build):
    machine = Machine().load(build(DEEP))
    with pytest.raises(GuestFault, match="stack overflow: ") as caught:
        machine.run(deadline_s=HANG_S, max_cycles=10_000_000)
    assert caught.value.report.function == "down"
