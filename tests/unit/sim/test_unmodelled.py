"""What has no model is refused by name; nothing a firmware asks for is silently ignored."""

import pytest

from edgeq.board import load_board
from edgeq.sim import GuestFault, Machine
from edgeq.sim.address_names import CORE, MAPS, peripheral_at

PROGRAM = """
    .syntax unified
    .thumb
    .section .vectors, "a"
    .word 0x20010000, Reset_Handler
    .text
    .global Reset_Handler, peek, poke
    .thumb_func
Reset_Handler: b .
    .type peek, %function
peek: ldr r0, [r0]
    bx lr
    .type poke, %function
poke: str r1, [r0]
    bx lr
"""
PWR, RCC = 0x40007000, 0x40021000


@pytest.fixture(scope="module")
def machine_of(build):
    """machine_of(board) -> a fresh machine that can peek and poke."""

    def make(name: str) -> Machine:
        board = load_board(name)
        core = "cortex-m0plus" if board.core == "cortex-m0plus" else "cortex-m4"
        return Machine(board).load(build(PROGRAM, ".S", core, board.flash.origin))

    return make


def refusal(machine: Machine, address: int, value: int | None = None) -> str:
    arguments = ("peek", (address,)) if value is None else ("poke", (address, value))
    with pytest.raises(GuestFault) as raised:
        machine.call(*arguments)
    return raised.value.report.reason


def test_case_37_enabling_the_mpu_is_refused(machine_of):
    machine = machine_of("nucleo_f446re")
    assert "enables the MPU" in refusal(machine, 0xE000ED94, 5)
    machine.call("poke", (0xE000ED94, 0))  # off, as at reset
    assert machine.call("peek", (0xE000ED90,)).r0 == 0, "MPU_TYPE says that there is none"


@pytest.mark.parametrize(
    ("board", "address", "name"),
    [
        ("nucleo_f446re", 0x40000000, "TIM2"),
        ("nucleo_f446re", 0x40014800, "TIM11"),
        ("nucleo_f446re", 0x40026010, "DMA1"),
        ("nucleo_f446re", 0x40005400, "I2C1"),
        ("nucleo_f401re", 0x40012C00, "SDIO"),
        ("nucleo_f401re", 0x40006000, "FMPI2C1"),
        ("nucleo_l4r5zi", 0x40012C00, "TIM1"),
        ("nucleo_l4r5zi", 0x40020400, "DMA2"),
        ("nucleo_l4r5zi", 0x40005800, "I2C2"),
        ("nucleo_l4r5zi", 0x50060800, "RNG"),
        ("nrf52840dk", 0x40008000, "TIMER0"),
        ("nrf52840dk", 0x40003000, "SPI0/TWI0"),
        ("nrf52840dk", 0x4001F504, "PPI"),
        ("rpi_pico", 0x50000000, "DMA"),
        ("rpi_pico", 0x40044000, "I2C0"),
        ("rpi_pico", 0x40050000, "PWM"),
        ("rpi_pico", 0x4000A000, "CLOCKS"),  # its atomic aliases
        ("virtual_m4", 0x40002000, "DUALTIMER"),
        ("virtual_m4", 0xE0000000, "ITM"),
    ],
)
def test_case_37_a_peripheral_without_a_model_is_named(machine_of, board, address, name):
    for value in (None, 1):
        said = refusal(machine_of(board), address, value)
        assert f"0x{address:08x}" in said
        assert f"{name} is not modelled" in said


@pytest.mark.parametrize(
    ("board", "address", "value", "said"),
    [
        ("virtual_m4", 0xE000E100, 1, "enables a device's interrupt"),
        ("virtual_m4", 0xE000E200, 1, "pends a device's interrupt"),
        ("virtual_m4", 0xE000EDD0, 1, "enables the SAU"),
        ("virtual_m4", 0xE000ED10, 4, "asks for a sleep mode"),
        ("virtual_m4", 0xE000EF00, 3, "the system control space has no such register"),
        ("virtual_m4", 0xE000E008, 2, "the system control space has no such register"),
        ("virtual_m4", 0xE000EF40, None, "the system control space has no such register"),
        ("virtual_m4", 0xE0001018, None, "the DWT has no such register"),
        ("virtual_m4", 0xE0001028, 4, "the DWT has no such register"),
        ("virtual_m4", 0xE0001000, 1 << 12 | 1, "asks the DWT for events"),
        ("virtual_m4", 0x40028018, None, "FPGAIO has no such register"),
        ("virtual_m4", 0x40004020, None, "the UART has no such register"),
        ("virtual_m4", 0x40004008, 1 << 3 | 3, "interrupts"),
        ("virtual_m0plus", 0x40000000, 1 | 2, "external input"),
        ("virtual_m0plus", 0x40000010, None, "its model has no such register"),
        ("nrf52840dk", 0x4000256C, 0xE, "parity"),
    ],
)
def test_case_37_other_registers_that_were_ignored(machine_of, board, address, value, said):
    assert said in refusal(machine_of(board), address, value)


@pytest.mark.parametrize(
    ("address", "value", "said"),
    [
        (0x4000440C, 1 << 10, "parity"),
        (0x4000440C, 1 << 15, "8 samples"),
        (0x40004414, 1 << 7, "DMA"),
    ],
)
def test_case_37_a_usart_does_only_what_is_modelled(machine_of, address, value, said):
    machine = machine_of("nucleo_f446re")
    machine.call("poke", (0x40023840, 1 << 17))
    assert said in refusal(machine, address, value)


@pytest.mark.parametrize(
    ("address", "value", "said"),
    [
        (RCC, 0x63 | 1 << 24, "feeds the PLL from another source"),
        (RCC, 0x7B, "range of MSI"),
        (0x40008000, 1 << 10, "parity"),
        (0x40008008, 1 << 6, "DMA"),
        (0x4000802C, 1, "a prescaler"),
    ],
)
def test_case_37_clocks_and_uart_of_the_l4(machine_of, address, value, said):
    machine = machine_of("nucleo_l4r5zi")
    machine.call("poke", (RCC + 0x5C, 1))
    assert said in refusal(machine, address, value)


def test_an_input_register_shows_what_the_pins_have(machine_of):
    machine = machine_of("nucleo_f446re")
    for address, value in ((0x40023830, 2), (0x40020400, 1 << 6), (0x40020418, 1 << 3),
                           (0x4002040C, 1 << 10)):  # fmt: skip
        machine.call("poke", (address, value))
    assert machine.call("peek", (0x40020410,)).r0 == 1 << 3 | 1 << 5  # an output, and a pull-up
    machine = machine_of("nrf52840dk")
    for address, value in ((0x50000704, 1), (0x50000708, 1 | 2), (0x5000070C, 3 << 2),
                           (0x50000504, 6)):  # fmt: skip
        machine.call("poke", (address, value))
    assert machine.call("peek", (0x50000510,)).r0 == 1 << 1 | 1 << 3
    machine = machine_of("rpi_pico")
    for address, value in ((0x4000C000, 0), (0x40014014, 5), (0xD0000014, 12), (0xD0000024, 12)):
        machine.call("poke", (address, value))
    assert machine.call("peek", (0xD0000004,)).r0 == 1 << 2, "GP3 is not SIO's"


@pytest.mark.parametrize("family", MAPS)
def test_the_maps_do_not_overlap_and_find_their_edges(family):
    spans = MAPS[family]
    for (begin, end, name), after in zip(spans, (*spans[1:], CORE[0]), strict=True):
        assert end <= after[0], name
        assert peripheral_at(family, begin) == peripheral_at(family, end - 1) == name
        assert peripheral_at(family, end) == (after[2] if end == after[0] else None)
    assert peripheral_at("none", 0x40000000) is None
