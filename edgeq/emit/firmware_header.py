"""What the header of a model tells: sizes, scales, names, as #defines and in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgeq.emit.firmware_arrays import plain_text
from edgeq.emit.firmware_calls import escalates
from edgeq.emit.firmware_layers import mixture_of
from edgeq.emit.mlperf import encoding
from edgeq.emit.port_defines import exact, port_defines, scale_defines
from edgeq.ir import Graph, Node
from edgeq.ir.ports import inputs_by_name, is_plain, outputs_by_name, result_tensors
from edgeq.memory import MemoryPlan
from edgeq.ops.cascade import THRESHOLDS
from edgeq.ops.op import quant_of
from edgeq.ops.router import numerator_per_step
from edgeq.ops.signals import MONTE_CARLO


@dataclass(frozen=True)
class Define:
    """#define <MODEL>_<name> <value>."""

    name: str
    value: str


NORMALISE = "normalise"  # the layer that importers put before a model of normalised inputs


def defines(
    graph: Graph,
    plan: MemoryPlan,
    layers: int,
    name: str,
    digest: str,
    mlperf_id: str | None,
    class_names: Sequence[str] | None,
) -> tuple[Define, ...]:
    node = mixture_of(graph)
    values: dict[str, Any] = {
        "MODEL_NAME": f'"{plain_text(name)}"',
        "MODEL_DIGEST": f'"{digest}"',
        **_benchmark(mlperf_id),
        **(_plain_ends(graph) if is_plain(graph) else port_defines(graph)),
        **({"CLASS_NAMES": _strings(class_names)} if class_names else {}),
        "ARENA_BYTES": plan.arena_bytes,
        **({"STATE_BYTES": plan.state_bytes} if plan.state else {}),
        **_stream(graph),
        "LAYER_COUNT": layers,
        "EXPERT_COUNT": len(node.attrs.experts) if node else 0,
        **(_cascade(graph, node) if node and node.op == "Cascade" else {}),
        **(_escalation(graph, node) if node and node.op == "Mixture" and escalates(node) else {}),
        **({"HOLD": node.attrs.hold} if node and node.attrs.hold else {}),
    }
    return tuple(Define(key, str(value)) for key, value in values.items())


def _stream(graph: Graph) -> dict[str, Any]:
    if graph.stream is None:
        return {}
    found = graph.stream
    return {
        "STREAM_HOP": found.hop,
        "STREAM_WINDOW": found.window,
        "STREAM_LOOKAHEAD": found.lookahead,
        "STREAM_SILENT_HOPS": found.first,
        **({"FRAME_BYTES": graph.tensors[graph.inputs[0]].bytes // found.hop}),
    }


def _plain_ends(graph: Graph) -> dict[str, Any]:
    source, result = (graph.tensors[n] for n in (graph.inputs[0], graph.outputs[0]))
    return {
        "INPUT_BYTES": source.bytes,
        "INPUT_SHAPE": "{" + ", ".join(map(str, source.shape)) + "}",
        **scale_defines("INPUT_SCALE", quant_of(source).per_tensor),
        "INPUT_ZERO_POINT": f"({quant_of(source).zero_point})",
        "OUTPUT_COUNT": result.size,
        **scale_defines("OUTPUT_SCALE", quant_of(result).per_tensor),
        "OUTPUT_ZERO_POINT": f"({quant_of(result).zero_point})",
    }


def _benchmark(mlperf_id: str | None) -> dict[str, Any]:
    if mlperf_id is None:
        return {}
    form = encoding(mlperf_id)
    return {"MLPERF_ID": f'"{mlperf_id}"', **({"MLPERF_" + form: 1} if form else {})}


def _cascade(graph: Graph, node: Node) -> dict[str, Any]:
    rule, limits = node.attrs.rule, graph.param(node, THRESHOLDS).tolist()
    return {
        "THRESHOLD_COUNT": len(limits),
        "THRESHOLDS": "{" + ", ".join(map(str, limits)) + "}",
        "THRESHOLD_MIN": rule.least,
        "THRESHOLD_MAX": rule.most,
    }


def _escalation(graph: Graph, node: Node) -> dict[str, Any]:
    """In steps of the uncertainty that the device tells; the export's own lies within one."""
    exact = int(graph.param(node, "router.threshold")[0])
    return {
        "THRESHOLD": exact // numerator_per_step(node.attrs.router.passes),
        "THRESHOLD_MIN": MONTE_CARLO.least,
        "THRESHOLD_MAX": MONTE_CARLO.most,
    }


def _strings(names: Sequence[str]) -> str:
    return "{" + ", ".join(f'"{plain_text(name)}"' for name in names) + "}"


def about(graph: Graph, class_names: Sequence[str] | None) -> tuple[str, ...]:
    """What goes in and comes out, in words."""
    results, plain = result_tensors(graph), is_plain(graph)
    ins, outs = inputs_by_name(graph), outputs_by_name(graph)
    ends = [("Input" if plain else f"Input {n}", tensor) for n, tensor in ins.items()]
    ends += [("Output" if plain else f"Output {n}", tensor) for n, tensor in outs.items()]
    lines: list[str] = []
    for what, name in ends:
        tensor = graph.tensors[name]
        quant = quant_of(tensor)
        order = ", in the order height, width, channels" if len(tensor.shape) == 3 else ""
        shape = "x".join(map(str, tensor.shape))
        lines.append(f"{what}: {shape} {tensor.dtype}{order}.")
        lines.append(f"    real number = {exact(quant.per_tensor)} * (code - ({quant.zero_point}))")
        if name == graph.inputs[0] and any(n.name == NORMALISE for n in graph.nodes):
            lines[-1] += f", raw: (x - mean) / std is layer {NORMALISE} of the model"
        if class_names and name == results[0]:
            lines[-1] += f", one a class of {len(class_names)}"
    return tuple(lines)
