"""A graph with a state for formats that have none: each state an input and an output more.

A Delay gives what it kept and keeps what it is given; so its output becomes an input of the graph,
its input an output, and the node is gone. A History is its state and its input joined, of which the
oldest cells go on and the newest are kept. A recurrent step reads its state beside its rows and
makes the next one beside its answers. Whoever runs the file hands the one back as the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from edgeq.ir import Graph, Node, TensorType
from edgeq.ir.c_names import unique
from edgeq.ir.ports import input_names, output_names, port_name
from edgeq.ops.concat import Concat
from edgeq.ops.copies import Slice
from edgeq.ops.kept import memory_of
from edgeq.ops.op import quant_of, with_entry
from edgeq.reference import memories

LEFT, LEFT_OP = ".left", "Left"  # of a recurrent step: the state behind it


@dataclass(frozen=True)
class StatePort:
    """`given` is the tensor that the state comes in as, `kept` the one that goes out for the next
    row; `reset` is the code that a state begins with.
    """

    given: str
    kept: str
    input_name: str
    output_name: str
    reset: int


def with_state_ports(graph: Graph) -> tuple[Graph, tuple[StatePort, ...]]:
    """The graph without nodes that keep something, and its states."""
    taken = {*input_names(graph), *output_names(graph)}
    kinds, states, nodes = memories(graph), list[StatePort](), list[Node]()
    tensors = dict(graph.tensors)
    for node in graph.nodes:
        if memory_of(node) is None:
            nodes.append(node)
            continue
        given, kept = node.outputs[0], node.inputs[0]
        kind = kinds[node.name]
        if node.op != "Delay":
            given, kept = f"{node.name}.given", f"{node.name}.kept"
            tensors[given] = tensors[kept] = kind
        if node.op != "Delay" and node.op != "History":
            nodes.append(replace(node, inputs=(*node.inputs, given)))
            left = node.outputs[0], given
            nodes.append(
                replace(node, name=node.name + LEFT, op=LEFT_OP, inputs=left, outputs=(kept,))
            )
        if node.op == "History":
            cells = f"{node.name}.cells"
            tensors[cells] = _joined(kind, tensors[node.inputs[0]], node.attrs.axis)
            new = tensors[node.inputs[0]].shape[node.attrs.axis]
            nodes += _as_copies(node, given, kept, cells, tensors[cells].shape, new)
        names = _free(f"{node.name}_state", taken), _free(f"{node.name}_next", taken)
        reset = quant_of(tensors[given]).zero_point
        states.append(StatePort(given, kept, *names, reset))
    bare = replace(
        graph,
        nodes=tuple(nodes),
        tensors=tensors,
        inputs=(*graph.inputs, *(state.given for state in states)),
        outputs=(*graph.outputs, *(state.kept for state in states)),
        input_names=(*input_names(graph), *(state.input_name for state in states)),
        output_names=(*output_names(graph), *(state.output_name for state in states)),
    )
    return bare, tuple(states)


def _joined(kept: TensorType, given: TensorType, axis: int) -> TensorType:
    return replace(kept, shape=with_entry(kept.shape, axis, kept.shape[axis] + given.shape[axis]))


def _as_copies(
    node: Node, given: str, kept: str, cells: str, shape: tuple[int, ...], new: int
) -> Iterator[Node]:
    """A History of `new` cells a row as the copies that it is: joined, cut at front and end."""
    axis, rank = node.attrs.axis, len(shape)
    stays = node.attrs.kept(new)
    yield Node(f"{node.name}.join", "Concat", (given, node.inputs[0]), (cells,), Concat(axis))
    for made, start, size in (
        (node.outputs[0], 0, node.attrs.cells),
        (kept, shape[axis] - stays, stays),
    ):
        attrs = Slice(
            with_entry((0,) * rank, axis, start), with_entry(shape, axis, size), (1,) * rank
        )
        yield Node(f"{node.name}.{made.rpartition('.')[2]}", "Slice", (cells,), (made,), attrs)


def _free(name: str, taken: set[str]) -> str:
    return unique(port_name(name), taken, lambda stem, n: port_name(f"{stem[:28]}_{n}"))
