"""The ports of a model in C: the members of its structs, their macros, and the record of them."""

from dataclasses import dataclass

from edgeq.emit.port_defines import INPUT, OUTPUT
from edgeq.ir import Graph
from edgeq.ir.ports import inputs_of, is_plain, outputs_of
from edgeq.ports import Ports


@dataclass(frozen=True)
class PortCode:
    """One port: `member` of its side's struct, its macros begin with <MODEL>_<macro>.

    `offset`: in the bytes of all ports of its side. `lowest`, `highest`: of a code; `beyond`: steps
    that no rounding brings back among them.
    """

    member: str
    macro: str
    ctype: str
    count: int
    offset: int
    lowest: int
    highest: int

    @property
    def beyond(self) -> str:
        return f"{2.0 * (self.highest - self.lowest + 1):.1f}"


@dataclass(frozen=True)
class PortsCode:
    """Both sides. `record` is what the info region tells of them, as a C initialiser."""

    inputs: tuple[PortCode, ...]
    outputs: tuple[PortCode, ...]
    record: str

    @property
    def first(self) -> PortCode:
        """The output that confidence and class names are of."""
        return self.outputs[0]

    @property
    def alignment(self) -> int:
        """What the bytes of a side must be aligned to."""
        wide = any(port.ctype == "int16_t" for port in (*self.inputs, *self.outputs))
        return 2 if wide else 1


def ports_code(graph: Graph) -> PortsCode | None:
    """None for one int8 input and one int8 output: they are plain pointers."""
    if is_plain(graph):
        return None
    inputs = _side(INPUT, inputs_of(graph))
    return PortsCode(inputs, _side(OUTPUT, outputs_of(graph)), ports_record(graph))


def _side(side: str, ports: Ports) -> tuple[PortCode, ...]:
    found = []
    for port, offset in zip(ports.ports, ports.offsets, strict=True):
        bits = 8 if port.dtype == "int8" else 16
        half = 1 << (bits - 1)
        macro = f"{side}_{port.name.upper()}"
        ctype = f"{port.dtype}_t"
        found.append(PortCode(port.name, macro, ctype, port.size, offset, -half, half - 1))
    return tuple(found)


def ports_record(graph: Graph) -> str:
    """Inputs u8, outputs u8; for each its bits u8, values u32, name (length u8, characters)."""
    sides = inputs_of(graph).ports, outputs_of(graph).ports
    record = bytearray(len(side) for side in sides)
    for port in (*sides[0], *sides[1]):
        record.append(8 if port.dtype == "int8" else 16)
        record += port.size.to_bytes(4, "little")
        record.append(len(port.name))
        record += port.name.encode("ascii")
    return "{" + ", ".join(map(str, record)) + "}"


def wide_tensors(graph: Graph) -> frozenset[str]:
    """Its int16 activations; experts have none."""
    ends = {name for node in graph.nodes for name in (*node.inputs, node.outputs[0])}
    return frozenset(name for name in ends if graph.tensors[name].dtype == "int16")
