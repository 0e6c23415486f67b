"""Each port's UART at another rate, on its twin: nothing that was sent before is lost."""

from pathlib import Path

import pytest

from edgeq.board import load_board
from edgeq.firmware_project import FirmwareProject
from edgeq.sim import BufferPort, Machine
from edgeq.toolchain import build, find_compiler, with_board
from tests.hang import HANG_S

MAIN = b"""
#include "port/hal.h"
volatile uint32_t near[3];
void finished(void);
__attribute__((noinline)) void finished(void) {
    __asm volatile("" ::: "memory");
}
int main(void) {
    hal_init();
    hal_putc('a');
    near[0] = hal_baud_near(921600u);
    near[1] = hal_baud_near(4000000u);
    near[2] = hal_baud_near(9600u);
    hal_set_baud(921600u);
    hal_putc('b');
    finished();
    return 0;
}
"""


@pytest.mark.parametrize(
    ("name", "fastest"),
    [("nucleo_l4r5zi", True), ("nucleo_f446re", False), ("nucleo_f401re", False),
     ("nrf52840dk", False), ("virtual_m0plus", False)],
)  # fmt: skip
def test_a_port_changes_its_rate(name: str, fastest: bool, tmp_path: Path) -> None:
    """`fastest`: its UART's clock makes 4 Mbaud too."""
    board, port = load_board(name), BufferPort()
    project = with_board(FirmwareProject({"main.c": MAIN}), board)
    machine = Machine(board, port)
    machine.load(build(project, board, find_compiler("auto"), tmp_path).elf)
    machine.run("finished", deadline_s=HANG_S)
    assert port.take() == b"ab"
    words = machine.read(machine.symbol("near"), 12)
    made = [int.from_bytes(words[at : at + 4], "little") for at in (0, 4, 8)]
    assert abs(made[0] - 921_600) < 0.02 * 921_600
    assert bool(made[1]) == fastest
    assert abs(made[2] - 9600) < 0.02 * 9600
    if machine.baud:  # of the emulated FPGA's no rate is modelled
        assert abs(machine.baud - 921_600) < 0.02 * 921_600
