"""What a firmware on the virtual board answers to rows, and its cycles layer by layer."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeq.board import Board
from edgeq.ops.op import Array

STACK_BYTES = 16384  # at the top of RAM; below it lie the operands of a call


@dataclass(frozen=True)
class Answers:
    """Outputs (rows, size) int8, cycles of the layers (rows, layers)."""

    outputs: Array
    cycles: Array


def answers(board: Board, elf: Path, rows: Array, size: int, layers: int) -> Answers:
    """Each of `rows` (int8) through served_infer of a firmware with a modelled clock, in memory.

    `size`: outputs of the model; `layers`: entries of its layer table. Raises BadInput for a file
    that is no firmware of `board`, GuestFault when it faults.
    """
    from edgeq.sim import Machine

    machine = Machine(board).load(elf)
    x = machine.config.ram_origin + machine.config.ram_bytes - STACK_BYTES
    x -= (rows[0].nbytes + size + 7) & ~7
    y = x + rows[0].nbytes
    machine.call("hal_init")  # starts the cycle counter
    machine.call("served_init")
    counters = machine.call("served_layer_cycles").r0
    outputs, cycles = [], []
    for row in rows:
        machine.write(x, row.tobytes())
        machine.clock.half += machine.clock.half & 1  # all calls start on a whole cycle
        machine.call("served_infer", (x, y))
        outputs.append(np.frombuffer(machine.read(y, size), np.int8))
        cycles.append(np.frombuffer(machine.read(counters, 4 * layers), np.uint32))
    return Answers(np.array(outputs), np.array(cycles, np.int64))
