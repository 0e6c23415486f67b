"""The macros of a model's ports: sizes, shapes, scales as exact numbers."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeq.ir import Graph, TensorType
from edgeq.ir.ports import inputs_of, outputs_of, result_tensors
from edgeq.ops.op import quant_of
from edgeq.ports import Ports

INPUT, OUTPUT = "INPUT", "OUTPUT"
UINT32_MAX = 2**32 - 1


def exact(scale: float) -> str:
    """The shortest decimal of a double that reads back as the same number, as a C literal."""
    text = repr(float(scale))
    return text if set("e.") & set(text) else f"{text}.0"


def scale_defines(name: str, scale: float) -> dict[str, str]:
    """A float32 scale, exactly: as a decimal, and as mantissa * 2^exponent for integers.

    In billionths too, for whom that suits, while that is right to one part in a million.
    """
    fraction, exponent = math.frexp(float(np.float32(scale)))
    values = {
        name: exact(scale),
        f"{name}_MANTISSA": f"{round(fraction * 2**24)}u",
        f"{name}_EXPONENT": f"({exponent - 24})",
    }
    nano = round(scale * 1e9)
    if abs(nano - scale * 1e9) <= 1e-6 * scale * 1e9 and nano < 2**63:
        values[f"{name}_NANO"] = f"{nano}u" if nano <= UINT32_MAX else f"UINT64_C({nano})"
    return values


def port_defines(graph: Graph) -> dict[str, Any]:
    """Macros of a model whose ports stand in structs, instead of INPUT_... and OUTPUT_..."""
    values: dict[str, Any] = {"INPUT_BYTES": inputs_of(graph).extent}
    values |= _defines(INPUT, inputs_of(graph), [graph.tensors[n] for n in graph.inputs])
    values["OUTPUT_BYTES"] = outputs_of(graph).extent
    kinds = [graph.tensors[n] for n in result_tensors(graph)]
    return values | _defines(OUTPUT, outputs_of(graph), kinds)


def _defines(side: str, ports: Ports, kinds: Sequence[TensorType]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for port, kind in zip(ports.ports, kinds, strict=True):
        head, quant = f"{side}_{port.name.upper()}", quant_of(kind)
        values |= {
            f"{head}_COUNT": port.size,
            f"{head}_SHAPE": "{" + ", ".join(map(str, kind.shape)) + "}",
            **scale_defines(f"{head}_SCALE", quant.per_tensor),
            f"{head}_ZERO_POINT": f"({quant.zero_point})",
        }
    return values
