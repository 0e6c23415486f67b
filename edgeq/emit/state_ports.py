"""A graph with a state for formats that have none: each state an input and an output more.

A Delay gives what it kept and keeps what it is given; so its output becomes an input of the graph,
its input an output, and the node is gone. Whoever runs the file hands the one back as the other.
"""

from dataclasses import dataclass, replace

from edgeq.ir import Graph
from edgeq.ir.c_names import unique
from edgeq.ir.ports import input_names, output_names, port_name
from edgeq.ops.op import quant_of


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
    """The graph without Delay nodes, and its states."""
    delays = [node for node in graph.nodes if node.op == "Delay"]
    taken = {*input_names(graph), *output_names(graph)}
    states = []
    for node in delays:
        given, kept = node.outputs[0], node.inputs[0]
        names = _free(f"{node.name}_state", taken), _free(f"{node.name}_next", taken)
        reset = quant_of(graph.tensors[given]).zero_point
        states.append(StatePort(given, kept, *names, reset))
    bare = replace(
        graph,
        nodes=tuple(node for node in graph.nodes if node.op != "Delay"),
        inputs=(*graph.inputs, *(state.given for state in states)),
        outputs=(*graph.outputs, *(state.kept for state in states)),
        input_names=(*input_names(graph), *(state.input_name for state in states)),
        output_names=(*output_names(graph), *(state.output_name for state in states)),
    )
    return bare, tuple(states)


def _free(name: str, taken: set[str]) -> str:
    return unique(port_name(name), taken, lambda stem, n: port_name(f"{stem[:28]}_{n}"))
