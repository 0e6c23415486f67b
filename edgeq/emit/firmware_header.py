"""What the header of a model tells: sizes, scales, names, as #defines and in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.emit.firmware_arrays import plain_text
from edgeq.emit.firmware_layers import mixture_of
from edgeq.emit.mlperf import task
from edgeq.ir import Graph
from edgeq.memory import MemoryPlan
from edgeq.ops.op import quant_of

UINT32_MAX = 2**32 - 1


@dataclass(frozen=True)
class Define:
    """#define <MODEL>_<name> <value>."""

    name: str
    value: str


def defines(
    graph: Graph,
    plan: MemoryPlan,
    layers: int,
    name: str,
    digest: str,
    mlperf_id: str | None,
    class_names: Sequence[str] | None,
) -> tuple[Define, ...]:
    source, result = (graph.tensors[n] for n in (graph.inputs[0], graph.outputs[0]))
    node = mixture_of(graph)
    values: dict[str, Any] = {
        "MODEL_NAME": f'"{plain_text(name)}"',
        "MODEL_DIGEST": f'"{digest}"',
        **_benchmark(mlperf_id),
        "INPUT_BYTES": source.bytes,
        "INPUT_SHAPE": "{" + ", ".join(map(str, source.shape)) + "}",
        **scale_defines("INPUT_SCALE", quant_of(source).per_tensor),
        "INPUT_ZERO_POINT": f"({quant_of(source).zero_point})",
        "OUTPUT_COUNT": result.size,
        **scale_defines("OUTPUT_SCALE", quant_of(result).per_tensor),
        "OUTPUT_ZERO_POINT": f"({quant_of(result).zero_point})",
        **({"CLASS_NAMES": _strings(class_names)} if class_names else {}),
        "ARENA_BYTES": plan.arena_bytes,
        "LAYER_COUNT": layers,
        "EXPERT_COUNT": len(node.attrs.experts) if node else 0,
    }
    return tuple(Define(key, str(value)) for key, value in values.items())


def _benchmark(mlperf_id: str | None) -> dict[str, Any]:
    if mlperf_id is None:
        return {}
    encoding = task(mlperf_id).encoding
    return {"MLPERF_ID": f'"{mlperf_id}"', **({"MLPERF_" + encoding: 1} if encoding else {})}


def exact(scale: float) -> str:
    """The shortest decimal of a double that reads back as the same number, as a C literal."""
    text = repr(float(scale))
    return text if set("e.") & set(text) else f"{text}.0"


def _strings(names: Sequence[str]) -> str:
    return "{" + ", ".join(f'"{plain_text(name)}"' for name in names) + "}"


def about(graph: Graph, class_names: Sequence[str] | None) -> tuple[str, ...]:
    """What goes in and comes out, in words."""
    lines = []
    for what, name in (("Input", graph.inputs[0]), ("Output", graph.outputs[0])):
        tensor = graph.tensors[name]
        quant = quant_of(tensor)
        order = ", in the order height, width, channels" if len(tensor.shape) == 3 else ""
        shape = "x".join(map(str, tensor.shape))
        lines.append(f"{what}: {shape} int8{order}.")
        lines.append(f"    real number = {exact(quant.per_tensor)} * (code - ({quant.zero_point}))")
    if class_names:
        lines[-1] += f", one a class of {len(class_names)}"
    return tuple(lines)


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
