"""Traces served_infer and every expert of a firmware that is in a machine's memory."""

from collections.abc import Sequence
from pathlib import Path

from edgeq.constant_time.call_graph import CallGraph
from edgeq.constant_time.taint import Taint
from edgeq.constant_time.trace import Trace, Tracer
from edgeq.sim import Machine

ROOT, TABLE, INPUT, OUTPUT = "served_infer", "experts", "sample_input", "sample_output"
INSTANCE = "_single"  # ends the name of the model's instance, whose memory holds the arena


def trace_inference(machine: Machine, elf: Path, experts: int, root: str = ROOT) -> Trace:
    """One inference of the input in memory, then each expert that it did not call.

    The input and the whole instance, where earlier inputs may have left something, are marked.
    `experts`: how many the firmware's table has, 0 without a mixture.
    """
    code = CallGraph(elf)
    taint = Taint(machine.config.ram_origin, machine.config.ram_bytes, code.objects)
    tracer = Tracer(machine, code.reachable(root), taint)
    table = _table(machine, experts)
    tracer.watch(table)
    _mark(taint, code)
    tracer.on = True
    machine.call(root, (machine.symbol(INPUT), machine.symbol(OUTPUT)))
    for expert in table:
        if expert not in tracer.entered and tracer.entered:
            taint.registers = 0
            _mark(taint, code)
            machine.call(expert, next(iter(tracer.entered.values())))
    return tracer.finish()


def _table(machine: Machine, experts: int) -> Sequence[int]:
    """Addresses of the experts' functions; none without a mixture or with a single expert."""
    if experts < 2:
        return ()
    data = machine.read(machine.symbol(TABLE), 4 * experts)
    return [int.from_bytes(data[i : i + 4], "little") & ~1 for i in range(0, len(data), 4)]


def _mark(taint: Taint, code: CallGraph) -> None:
    for address, size, name in code.objects:
        if name == INPUT or name.endswith(INSTANCE):
            taint.mark(address, size)
