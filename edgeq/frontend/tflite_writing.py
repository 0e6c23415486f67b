"""What grows while a float .tflite file is written as ONNX operators: see tflite_float.py."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.onnx_file import Operator as OnnxOperator
from edgeq.frontend.tflite_file import Array, Operator, Subgraph, Tensor, TfliteFile

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)  # channels
ACTIVATIONS = {0: "", 1: "Relu", 2: "N1To1", 3: "Relu6"}
CLAMPS = {"N1To1": (-1.0, 1.0), "Relu6": (0.0, 6.0)}


@dataclass
class Writing:
    """The operators so far. A tensor of the file is called t and its number; `ids` are those of an
    input of whole numbers.
    """

    file: TfliteFile
    subgraph: Subgraph
    operators: list[OnnxOperator] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    ids: set[int] = field(default_factory=set)
    index: int = 0
    name: str = ""

    def tensor(self, op: Operator, place: int) -> Tensor:
        """Raises Refused for an input that is absent or no plain tensor."""
        if place >= len(op.inputs) or op.inputs[place] < 0:
            raise Refused(f"it has no input {place}")
        tensor = self.subgraph.tensors[op.inputs[place]]
        if tensor.special or tensor.dynamic:
            raise Refused(f"{tensor.name!r} is {tensor.special or 'of a shape that is not known'}")
        return tensor

    def given(self, op: Operator, place: int) -> str:
        """The name of an input, its values known where the file holds them."""
        tensor, name = self.tensor(op, place), f"t{op.inputs[place]}"
        if name not in self.constants and self.file.is_constant(tensor):
            value = self.file.constant(tensor)
            self.constants[name] = value.astype(np.float32) if value.dtype == np.float16 else value
        return name

    def value(self, op: Operator, place: int) -> Array:
        """A constant input."""
        name = self.given(op, place)
        if name not in self.constants:
            raise Refused(f"its input {place} is computed; a constant is taken there")
        return self.constants[name]

    def numbers(self, op: Operator, place: int) -> list[int]:
        """A constant input of whole numbers."""
        return [int(n) for n in self.value(op, place).reshape(-1)]

    def made(self, op: Operator, place: int = 0) -> tuple[int, ...]:
        """The shape of an output."""
        return self.subgraph.tensors[op.outputs[place]].shape

    def whole(self, numbers: Sequence[int]) -> str:
        """A constant of whole numbers of its own."""
        return self.constant(np.array(numbers, np.int64))

    def has(self, op: Operator, place: int) -> bool:
        return place < len(op.inputs) and op.inputs[place] >= 0

    def constant(self, value: Array) -> str:
        """A constant of its own."""
        name = f"c{len(self.constants)}"
        self.constants[name] = np.ascontiguousarray(value)
        return name

    def add(self, kind: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """Appends an operator; the name of what it makes."""
        out = out or f"n{len(self.operators)}"
        self.operators.append(OnnxOperator(self.index, kind, self.name, inputs, (out,), attributes))
        return out

    def parts(self, kind: str, *inputs: str, count: int, **attributes: Any) -> list[str]:
        """Appends an operator of several outputs; their names."""
        outs = tuple(f"n{len(self.operators)}.{i}" for i in range(count))
        self.operators.append(OnnxOperator(self.index, kind, self.name, inputs, outs, attributes))
        return list(outs)

    def end(self, op: Operator, name: str, activation: int = 0, place: int = 0) -> None:
        """The operator's output is that tensor behind a fused activation."""
        kind, out = ACTIVATIONS.get(activation), f"t{op.outputs[place]}"
        if kind is None:
            raise Refused(f"it has fused activation {activation}")
        if kind in CLAMPS:
            ends = (self.constant(np.array(n, np.float32)) for n in CLAMPS[kind])
            self.add("Clip", name, *ends, out=out)
        else:
            self.add(kind or "Identity", name, out=out)


def slid(
    w: Writing, op: Operator, kind: str, *more: str, source: int = 0, **attributes: Any
) -> str:
    """An operator over a map, its channels first for as long."""
    x = w.add("Transpose", w.given(op, source), perm=FIRST)
    return w.add("Transpose", w.add(kind, x, *more, **attributes), perm=LAST)


Writer = Callable[[Writing, Operator], None]
