"""What an export says of itself, as one value: export.json, and report.txt in words."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgeq.arrays import Shapes
from edgeq.board import is_core
from edgeq.compiled import Compiled
from edgeq.emit.firmware_bands import calls_of
from edgeq.emit.firmware_layers import layers_of
from edgeq.emit.forms import Forms
from edgeq.estimating import Costed, Identity
from edgeq.export_folder import GRAPH, PACKAGE, SCHEMA
from edgeq.export_request import ExportRequest
from edgeq.ir import Graph
from edgeq.ir.ports import outputs_by_name, result_tensors
from edgeq.ops.op import quant_of
from edgeq.passes import Quantized
from edgeq.passes.select_kernels import fallen, widened
from edgeq.prove import Check
from edgeq.reporting.export import (
    cascade_entry,
    curiosity_entry,
    expert_entries,
    layer_entries,
    layer_name,
)
from edgeq.staging import staged_layers
from edgeq.streaming import Exported
from edgeq.toolchain import OPTIMIZE


@dataclass(frozen=True)
class ExportReport:
    """export.json, key by key; docs/commands.md says what `--json` prints is this object."""

    schema: int
    target: str
    model: str
    model_digest: str
    origin: dict[str, Any] | None
    artifacts: dict[str, str | None]
    flash_bytes: int
    ram_bytes: int
    arena_bytes: int
    arena_bound_bytes: int
    bands: dict[str, int]
    staged: dict[str, int]
    weight_bytes: int
    compiler: str
    optimize: str
    objective: str
    layers: list[dict[str, Any]]
    experts: list[dict[str, Any]]
    checks: list[dict[str, Any]]
    estimate: dict[str, Any] | None
    routes: dict[str, int]
    curiosity: dict[str, Any] | None
    cascade: dict[str, Any] | None
    budget: dict[str, float]
    threshold: dict[str, Any] | None
    calibration: str
    input_shape: list[int]
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    state_bytes: int
    stream: dict[str, Any] | None
    deadline: dict[str, Any] | None
    power: dict[str, Any] | None
    input_layout: str
    class_names: list[str] | None
    task: str | None
    enforced: bool
    notes: list[str]

    @property
    def entry(self) -> dict[str, Any]:
        """The JSON object."""
        return asdict(self)


def export_report(
    asked: ExportRequest,
    of: Identity,
    model: Exported,
    quantized: Quantized,
    costed: Costed,
    checks: Sequence[Check],
    forms: Forms,
) -> ExportReport:
    """The report of a costed and proven model; `quantized` holds the model's own curiosity."""
    compiled, graph = costed.compiled, costed.compiled.graph
    notes = (*forms.notes, *quantized.notes, *model.notes)
    notes = (*notes, *fallen(graph, asked.features), *widened(graph))
    return ExportReport(
        schema=SCHEMA,
        target=of.target,
        model=of.name,
        model_digest=of.digest,
        origin=model.origin.entry if model.origin else None,
        artifacts=_artifacts(forms, asked),
        flash_bytes=costed.firmware.flash_bytes,
        ram_bytes=costed.firmware.ram_bytes,
        **_arena_entries(compiled),
        weight_bytes=compiled.packed.total_bytes,
        compiler=costed.firmware.compiler,
        optimize=OPTIMIZE,
        objective=asked.objective,
        layers=layer_entries(compiled.layers, costed.cost),
        experts=expert_entries(graph, compiled.layers, compiled.packed, costed.cost),
        checks=[check.entry for check in checks],
        estimate=costed.cost,
        routes=costed.routes,
        curiosity=curiosity_entry(graph, quantized.graph, costed.quantized.curiosity),
        cascade=cascade_entry(graph, costed.quantized.cascading),
        budget=asked.budget.asked,
        threshold=costed.threshold,
        calibration=model.method(asked.method),
        input_shape=list(model.input_shape),
        inputs=port_entries(graph, graph.inputs, model.inputs),
        outputs=port_entries(graph, result_tensors(graph), output_shapes(graph)),
        state_bytes=compiled.plan.state_bytes,
        stream=None if graph.stream is None else asdict(graph.stream),
        deadline=asked.deadline(costed),
        power=asked.power(costed, of),
        input_layout=model.layout,
        class_names=list(model.class_names) if model.class_names else None,
        task=model.task,
        enforced=not is_core(of.target),
        notes=[*_first(costed, checks), *notes, *of.notes, *_last(costed)],
    )


def _arena_entries(compiled: Compiled) -> dict[str, Any]:
    return {
        "arena_bytes": compiled.plan.arena_bytes,
        "arena_bound_bytes": compiled.plan.lower_bound_bytes,
        "bands": bands_entry(compiled),
        "staged": staged_layers(compiled.graph),
    }


def bands_entry(compiled: Compiled) -> dict[str, int]:
    """Calls of the kernel of each layer that runs in bands, so as to write over its input."""
    layers = layers_of(compiled.graph, compiled.packed)
    calls = calls_of(compiled.plan, compiled.graph, layers)
    infos = {layer.index: layer for layer in compiled.layers}
    return {layer_name(infos[index]): count for index, count in calls.items()}


def _artifacts(forms: Forms, asked: ExportRequest) -> dict[str, str | None]:
    """What stands in the folder, by kind."""
    tflite = "model.tflite" if forms.tflite else None
    library = {"package": PACKAGE} if asked.formats else {}
    known = {"onnx": "model.onnx", "tflite": tflite, "firmware": "firmware", "graph": GRAPH}
    return known | library


def output_shapes(graph: Graph) -> Shapes:
    """The outputs by name, as the device holds them."""
    return {name: graph.tensors[tensor].shape for name, tensor in outputs_by_name(graph).items()}


def port_entries(graph: Graph, tensors: Sequence[str], shapes: Shapes) -> list[dict[str, Any]]:
    """`inputs` or `outputs` of export.json."""
    entries = []
    for tensor, (name, shape) in zip(tensors, shapes.items(), strict=True):
        kind = graph.tensors[tensor]
        quant = quant_of(kind)
        entry = {"name": name, "shape": list(shape), "dtype": kind.dtype}
        entries.append(entry | {"scale": quant.per_tensor, "zero_point": quant.zero_point})
    return entries


def _first(costed: Costed, checks: Iterable[Check]) -> Iterable[str]:
    """What a reader must not miss: curiosity that does nothing, a dear router, failed proofs."""
    curiosity = costed.quantized.curiosity
    if curiosity and curiosity.note:
        yield curiosity.note
    yield from costed.cost["warnings"] if costed.cost else ()
    for check in (c for c in checks if not c.passed):
        yield f"{check.name} {check.said}" if check.failed else f"{check.name}: {check.said}"


def _last(costed: Costed) -> Iterable[str]:
    if costed.no_cost:
        yield f"no estimate of latency and energy: {costed.no_cost}"
