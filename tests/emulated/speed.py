"""How fast the virtual board runs inferences: python tests/emulated/speed.py BOARD=ELF ...

The ELF is one that edgeq built for the board. Instructions per second of processor time, with the
board's flash model and without.
"""

import dataclasses
import sys
import time

from edgeq.board import load_board
from edgeq.sim import Machine, MachineConfig

RUNS = 3


def speed(config: MachineConfig, elf: str) -> float:
    """Guest instructions a second of processor time, once the code is known."""
    machine = Machine(config).load(elf)
    for function in ("hal_init", "served_init"):
        machine.call(function)
    buffers = machine.symbol("sample_input"), machine.symbol("sample_result")
    machine.call("served_infer", buffers)
    start = time.process_time()
    instructions = sum(machine.call("served_infer", buffers).instructions for _ in range(RUNS))
    return instructions / (time.process_time() - start)


def main() -> None:
    """One line for each argument."""
    for argument in sys.argv[1:]:
        name, elf = argument.split("=", 1)
        config = MachineConfig.of(load_board(name))
        plain = speed(dataclasses.replace(config, flash_cache=None), elf) / 1e6
        text = f"{name}: {plain:.1f} M instructions/s"
        if config.flash_cache is not None:
            text += f", with the flash model {speed(config, elf) / 1e6:.1f} M"
        print(text)


if __name__ == "__main__":
    main()
