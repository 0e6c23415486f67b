"""Where a model's bytes stand: flash by part, and the arena over the steps of an inference."""

from collections.abc import Mapping
from typing import Any

from edgeq.ir import Graph
from edgeq.memory import EXPERT_REGION, SCRATCH, MemoryPlan, kernel_scratch, plan_memory
from edgeq.placement import Buffer
from edgeq.weights import PackedWeights, pack_weights

IN_RAM_ONLY = (".bss", ".noinit", ".stack", ".heap")
WEIGHTS = ".edgeq_weights"


def memory_map(graph: Graph, sections: Mapping[str, int] | None) -> dict[str, Any]:
    """`memory` of the JSON object of `edgeq profile`.

    `sections` are those of the firmware that ran, None when edgeq did not build it. The arena is
    drawn for the expert that needs the most of it; a buffer is in use from step `first` to `last`.
    """
    plan, packed = plan_memory(graph), pack_weights(graph)
    names, buffers, expert = _flattened(graph, plan)
    return {
        "flash": _flash_parts(sections, graph, packed),
        "ram": {k: v for k, v in (sections or {}).items() if k in (".data", *IN_RAM_ONLY)},
        "weight_bytes": packed.total_bytes,
        "arena_bytes": plan.arena_bytes,
        "arena_expert": expert,
        "steps": names,
        "buffers": [
            {"name": b.name, "bytes": b.bytes, "offset": b.offset, "first": b.first, "last": b.last}
            for b in buffers
        ],
    }


def _flash_parts(
    sections: Mapping[str, int] | None, graph: Graph, packed: PackedWeights
) -> dict[str, int]:
    """Bytes of the image by section, the weights' section by expert."""
    if sections is None:
        return {}
    parts = {k: v for k, v in sections.items() if k not in (WEIGHTS, *IN_RAM_ONLY)}
    if WEIGHTS not in sections:
        return parts
    owners = ["", *(e.name for n in graph.nodes for e in getattr(n.attrs, "experts", ()))]
    weights = {f"weights, {o or 'shared'}": packed.expert_bytes(o) for o in owners}
    rest = sections[WEIGHTS] - sum(weights.values())
    if rest < 0:  # no firmware of this graph
        return parts | {"weights": sections[WEIGHTS]}
    return parts | {k: v for k, v in weights.items() if v} | ({"padding": rest} if rest else {})


def _flattened(graph: Graph, plan: MemoryPlan) -> tuple[list[str], list[Buffer], str | None]:
    """Steps and buffers, with the mixture's region opened for its hungriest expert."""
    steps: list[str] = []
    starts: list[int] = []
    inside: list[Buffer] = []
    chosen = None
    for node in graph.nodes:
        starts.append(len(steps))
        steps.append(node.name)
        if getattr(node.attrs, "experts", ()):
            at = max(range(len(plan.experts)), key=lambda i: plan.experts[i].arena_bytes)
            expert, chosen = node.attrs.experts[at], node.attrs.experts[at].name
            region = next((b for b in plan.buffers if b.name == node.name + EXPERT_REGION), None)
            offset = region.offset if region else 0  # there is none where no expert needs memory
            inside = _inside(offset, plan.experts[at], chosen, len(steps))
            scratch = kernel_scratch(graph, node)
            if scratch:
                here = len(steps) - 1
                inside.append(Buffer(f"{node.name}{SCRATCH}", scratch, here, here, offset))
            steps += [f"{chosen}/{inner.name}" for inner in expert.graph.nodes]
    starts.append(len(steps))
    own = [
        Buffer(b.name, b.bytes, starts[b.first], starts[b.last + 1] - 1, b.offset)
        for b in plan.buffers
        if not b.name.endswith(EXPERT_REGION)
    ]
    return steps, own + inside, chosen


def _inside(offset: int, plan: MemoryPlan, expert: str, start: int) -> list[Buffer]:
    """The expert's buffers at their places in the whole arena, from step `start` on."""
    return [
        Buffer(f"{expert}/{b.name}", b.bytes, start + b.first, start + b.last, offset + b.offset)
        for b in plan.buffers
    ]
