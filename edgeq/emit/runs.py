"""What a run of an emitted file is given, and what it gives."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from edgeq.emit.state_ports import StatePort, with_state_ports
from edgeq.ir import Graph
from edgeq.ir.ports import input_names, output_names, result_tensors
from edgeq.ops.op import Array

INPUT, OUTPUT = "input", "logits"  # the only port of a side, whatever its name is


@dataclass(frozen=True)
class End:
    """An input of a file: its shape without batch, channels last, and the type of its codes."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class StateEnd:
    """A state: what comes out as `output` goes in as `given` with the next row; first `reset`."""

    given: End
    output: str
    reset: int


@dataclass(frozen=True)
class FormEnds:
    """The ends of an emitted file: answers by name, route and uncertainty not among them."""

    inputs: tuple[End, ...]
    outputs: tuple[str, ...]
    states: tuple[StateEnd, ...] = ()

    def text(self) -> str:
        """As JSON, for another process."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> "FormEnds":
        """What `text` wrote."""
        data = json.loads(text)

        def end(entry: dict[str, object]) -> End:
            shape = entry["shape"]
            assert isinstance(shape, list)
            return End(str(entry["name"]), tuple(shape), str(entry["dtype"]))

        states = (StateEnd(end(s["given"]), s["output"], s["reset"]) for s in data["states"])
        return cls(tuple(map(end, data["inputs"])), tuple(data["outputs"]), tuple(states))

    def split(self, x: Array) -> dict[str, Array]:
        """Rows of all inputs (rows, values) or of the only one, by the file's names."""
        flat, found, at = x.reshape(len(x), -1), {}, 0
        for each in self.inputs:
            size = int(np.prod(each.shape, dtype=np.int64))
            found[each.name] = flat[:, at : at + size].reshape(len(x), *each.shape)
            at += size
        return found


def form_inputs(graph: Graph) -> tuple[str, ...]:
    """The names of a graph's inputs in a file."""
    return (INPUT,) if len(graph.inputs) == 1 else input_names(graph)


def form_outputs(graph: Graph) -> tuple[str, ...]:
    """The names of its answers in a file."""
    return (OUTPUT,) if len(result_tensors(graph)) == 1 else output_names(graph)


def file_names(
    graph: Graph, states: Sequence[StatePort]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The inputs and outputs of a file by name, those of its states behind the others."""
    inputs = (*form_inputs(graph), *(state.input_name for state in states))
    return inputs, (*form_outputs(graph), *(state.output_name for state in states))


def form_ends(graph: Graph) -> FormEnds:
    """The ends of the files that are emitted of a graph."""
    open_graph, states = with_state_ports(graph)
    kinds = (graph.tensors[name] for name in graph.inputs)
    names = zip(form_inputs(graph), kinds, strict=True)
    ends = []
    for state in states:
        kind = open_graph.tensors[state.given]
        given = End(state.input_name, kind.shape, kind.dtype)
        ends.append(StateEnd(given, state.output_name, state.reset))
    inputs = tuple(End(name, kind.shape, kind.dtype) for name, kind in names)
    return FormEnds(inputs, form_outputs(graph), tuple(ends))


@dataclass(frozen=True)
class OnnxRun:
    """output: float logits (rows, ...), of several ports (rows, values); without a mixture route is
    -1 and uncertainty 0.
    """

    output: Array
    route: Array
    uncertainty: Array


@dataclass(frozen=True)
class TfliteRun:
    """Per row: logits int8, of several ports their codes (rows, values); route int64 (-1 without a
    mixture), uncertainty int64 in steps of `uncertainty_scale` (0 for a plain router); of a
    cascade its signal.
    """

    logits: Array
    route: Array
    uncertainty: Array
    uncertainty_scale: float
