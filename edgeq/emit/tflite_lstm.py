"""Lstm -> UNIDIRECTIONAL_SEQUENCE_LSTM. Its states are variables, zero when a file is loaded."""

from typing import Any

import numpy as np
from ai_edge_litert import (  # type: ignore[import-untyped,unused-ignore]
    schema_py_generated as schema,
)

from edgeq.emit.tflite_writer import SubgraphWriter, Value
from edgeq.ir import Graph, Node, Quant
from edgeq.ops.lstm import GATES
from edgeq.ops.op import quant_of

NAMES = ("input", "forget", "cell", "output")
TANH, ABSENT = 4, -1


def lstm(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    """The operator with its 24 inputs."""
    kind = graph.tensors[node.outputs[0]]
    made, cell = quant_of(kind), Quant((2.0**node.attrs.cell_power,))
    units = kind.shape[1]
    y = sg.value(node.outputs[0], (1, *kind.shape), "int8", made)
    given, kept = (_weights(sg, graph, node, f"{n}_weight") for n in ("input", "recurrent"))
    biases = [
        sg.constant(f"{node.name}.{name}_bias", block, Quant((x[0].q.per_tensor * w.q.per_tensor,)))
        for name, block, w in zip(
            NAMES, np.split(graph.param(node, "bias"), GATES), given, strict=True
        )
    ]
    states = [
        sg.variable(f"{node.name}.hidden", (1, units), "int8", made),
        sg.variable(f"{node.name}.cell_state", (1, units), "int16", cell),
    ]
    none = [None] * 3
    inputs = [x[0], *given, *kept, *none, *biases, None, None, *states, *none, None]
    between = [sg.value(f"{node.name}.{name}_between", (0,), "float32") for name in NAMES]
    between.append(sg.value(f"{node.name}.hidden_between", (0,), "int8", made))
    sg.op("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, [y], _options(node), intermediates=between)
    return y


def _weights(sg: SubgraphWriter, graph: Graph, node: Node, role: str) -> list[Value]:
    codes, scales = graph.param(node, role), quant_of(graph.tensors[node.params[role]]).scale
    units = len(codes) // GATES
    return [
        sg.constant(f"{node.name}.{name}_{role}", block, Quant((scales[gate * units],)))
        for gate, (name, block) in enumerate(zip(NAMES, np.split(codes, GATES), strict=True))
    ]


def _options(node: Node) -> Any:
    return schema.UnidirectionalSequenceLSTMOptionsT(
        fusedActivationFunction=TANH,
        cellClip=node.attrs.cell_clip * 2.0**node.attrs.cell_power,
        projClip=0.0,
        timeMajor=False,
        asymmetricQuantizeInputs=False,
        diagonalRecurrentTensors=False,
    )
