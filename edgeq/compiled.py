"""A lowered graph compiled: planned, packed and written as C. One value, made by one function."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgeq.emit.firmware import LayerInfo, firmware_project, layer_table
from edgeq.emit.package import package
from edgeq.firmware_project import FirmwareProject
from edgeq.ir import Graph
from edgeq.ir.c_names import c_prefix
from edgeq.memory import MemoryPlan, kernel_scratch, plan_memory
from edgeq.weights import PackedWeights, pack_weights


@dataclass(frozen=True)
class Compiled:
    """`graph` is lowered, kernels chosen; `project` has no board yet, or is an export's own."""

    name: str
    digest: str
    graph: Graph
    plan: MemoryPlan
    packed: PackedWeights
    layers: tuple[LayerInfo, ...]
    project: FirmwareProject

    def with_remark(self, remark: str) -> "Compiled":
        """With a comment at the head of the model's header, for whoever builds the firmware."""
        header = f"model/{c_prefix(self.graph.name)}.h"
        plain = remark.replace("*/", "* /").encode("ascii", "replace")
        text = b"/* " + plain + b" */\n" + self.project.files[header]
        return replace(self, project=self.project.with_files({header: text}))


def compile_graph(
    graph: Graph,
    name: str,
    digest: str,
    *,
    mlperf_id: str | None = None,
    class_names: Sequence[str] | None = None,
    weights_as: str = "auto",
    project: FirmwareProject | None = None,
    in_one_call: bool = False,
) -> Compiled:
    """Plans the arena, packs the weights, lists the layers and writes the C, in that order.

    `project`: that of an export, which is not written anew. `in_one_call`: no layer runs in bands,
    as where a kernel alone is counted. Raises UnsupportedOp for a kernel that does not exist,
    BadInput for a digest, benchmark or form of weights that is none.
    """
    plan = plan_memory(graph, kernel_scratch if in_one_call else None)
    packed = pack_weights(graph)
    layers = layer_table(graph, packed)
    if project is None:
        project = firmware_project(
            graph,
            plan,
            packed,
            model_name=name,
            digest=digest,
            mlperf_id=mlperf_id,
            class_names=class_names,
            weights_as=weights_as,
        )
    return Compiled(name, digest, graph, plan, packed, layers, project)


def library(compiled: Compiled, formats: Sequence[str], target: str) -> FirmwareProject:
    """The model as a library in these formats (emit/package.py), for the core of `target`."""
    return package(
        compiled.project,
        compiled.graph,
        formats,
        target=target,
        digest=compiled.digest,
        weight_bytes=compiled.packed.total_bytes,
        arena_bytes=compiled.plan.arena_bytes,
    )
