"""A firmware on its virtual board, given samples in memory: no serial port, no waiting."""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgeq.board import Board
from edgeq.emit.firmware_layers import LayerInfo
from edgeq.harness.messages import RESULT_HEADER, InferResult, parse_result
from edgeq.ir import Graph
from edgeq.ir.ports import inputs_of, outputs_of
from edgeq.ops.op import Array
from edgeq.sim.any_machine import machine_of
from edgeq.sim.config import MachineConfig

# An inference that takes more has lost its end: plain C on a Cortex-M0+ takes a tenth of it.
MOST_CYCLES, CYCLES_PER_MAC = 20_000_000, 500
BEGIN = ("hal_init", "served_init", "sample_init")  # as main() does before it serves


class InMemory:
    """Calls the firmware's own sample_run, so cycles are those that a profile would report.

    `graph`: the model's; `layers`: its layer table; `flash`: with the stalls of the board's
    flash, where its caches are modelled. A state begins as after a start and goes on. Raises
    BadInput for an ELF that is no firmware of `board`, GuestFault when it faults.
    """

    def __init__(
        self,
        board: Board,
        elf: Path,
        graph: Graph,
        layers: Sequence[LayerInfo],
        *,
        flash: bool = False,
    ) -> None:
        config = MachineConfig.of(board)
        self.machine = machine_of(config if flash else replace(config, flash_cache=None)).load(elf)
        self._inputs, self._outputs = inputs_of(graph), outputs_of(graph)
        self._result_bytes = RESULT_HEADER.size + self._outputs.extent
        self._layer_bytes = 4 * len(layers)
        self._most_cycles = MOST_CYCLES + CYCLES_PER_MAC * sum(layer.macs for layer in layers)
        self._samples = 0
        for function in BEGIN:
            self.machine.call(function)

    @property
    def half_cycles(self) -> bool:
        """Whether the core's prices know halves, so that a count depends on where it begins."""
        return any(price % 2 for price in self.machine.clock.table.values())

    def infer(self, row: Array, phase: int = 0) -> InferResult:
        """One row of codes. `phase` 0 or 1: the half of a cycle in which the call begins."""
        machine, data = self.machine, self._inputs.pack(row)
        self._samples += 1
        name = self._samples, zlib.crc32(data)  # a new name: the firmware keeps what it has run
        machine.write(machine.symbol("sample_input"), data)
        machine.clock.half += (machine.clock.half ^ phase) & 1
        machine.call("sample_run", name, max_cycles=self._most_cycles)
        result = machine.read(machine.symbol("sample_result"), self._result_bytes)
        layers = machine.read(machine.symbol("sample_layers"), self._layer_bytes)
        return parse_result(*name, result, layers, self._outputs)

    def reset(self) -> None:
        """The model's state as after a start."""
        self.machine.call("served_reset")

    def set_thresholds(self, table: str, thresholds: Sequence[int]) -> None:
        """A new instance of the cascade, which begins with these in the place of its own; `table`
        is the array that they come from.
        """
        data = b"".join(t.to_bytes(4, "little", signed=True) for t in thresholds)
        self.machine.write(self.machine.symbol(table), data)
        self.machine.call("served_init")

    def point_experts(self, order: tuple[int, ...]) -> None:
        """Row i of the firmware's table of experts becomes what row order[i] is now."""
        machine, at = self.machine, self.machine.symbol("experts")
        rows = [machine.read(at + 4 * i, 4) for i in order]
        machine.write(at, b"".join(rows))
