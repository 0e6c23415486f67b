"""Graph -> TensorFlow Lite flatbuffer: int8 and int4 built-in operators only, experts under IF.

Every operator comes in a type that TensorFlow Lite Micro accepts (tflite_check lists them).
"""

from collections.abc import Iterator, Sequence

from edgeq.emit.runs import file_names
from edgeq.emit.state_ports import with_state_ports
from edgeq.emit.tflite_cascade import cascade
from edgeq.emit.tflite_mixture import mixture
from edgeq.emit.tflite_ops import LAYERS, Values, emit_node
from edgeq.emit.tflite_writer import ModelWriter, Value
from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node
from edgeq.ir.ports import result_tensors
from edgeq.ops.carried import CARRYING
from edgeq.ops.graph_note import NOTE, About, is_routed, note_of
from edgeq.ops.routed import ROUTED
from edgeq.version import __version__

MIN_RUNTIME_VERSION = "2.18.0"  # padded to 16 bytes, as TensorFlow's own converter writes it


def tflite_model(
    graph: Graph, name: str, digest: str = "", class_names: Sequence[str] | None = None
) -> bytes:
    """The .tflite file of a lowered graph; `digest` (of the model file) goes to its metadata, and
    of one with experts what takes it back to the graph (ops/graph_note.py), class names included.

    Signature "serving_default": input -> logits int8, and with a mixture route int32 (1,) and, for
    a Bayesian router, uncertainty int16 (1, 1); with a cascade route and, as uncertainty, its
    signal int8 (1, 1). Several inputs or outputs have their ports' names
    and types; each state is one of either more (emit/state_ports.py). Raises UnsupportedOp with
    every node that has no TensorFlow Lite form, 16-bit weights first.
    """
    open_graph, states = with_state_ports(graph)
    inputs, made = file_names(graph, states)
    graph = open_graph
    _refuse_unsupported(graph)
    model = ModelWriter()
    sg = model.subgraph("main")
    values: Values = {}
    for source in graph.inputs:
        t = graph.tensors[source]
        values[source] = sg.value(source, (1, *t.shape), t.dtype, t.quant)
    given = {n: values[t] for n, t in zip(inputs, graph.inputs, strict=True)}
    extra: dict[str, Value] = {}
    for node in graph.nodes:
        if node.op == "Mixture":
            y, route, uncertainty = mixture(sg, graph, node, values)
            values[node.outputs[0]] = y
            extra = {"route": route} | ({"uncertainty": uncertainty} if uncertainty else {})
        elif node.op == "Cascade":
            y, route, signal = cascade(sg, graph, node, values)
            values[node.outputs[0]] = y
            extra = {"route": route, "uncertainty": signal}
        else:
            emit_node(sg, graph, node, values)
    results = zip(made, result_tensors(graph), strict=True)
    outputs = {**{name: values[tensor] for name, tensor in results}, **extra}
    sg.finish(list(given.values()), list(outputs.values()))
    metadata = _metadata(digest)
    if is_routed(graph):
        about = About(name, digest, tuple(class_names or ()), __version__)
        metadata[NOTE] = note_of(graph, about, model.constants)
    return model.to_bytes(f"edgeq {__version__} {name} {digest}".strip(), given, outputs, metadata)


def _metadata(digest: str) -> dict[str, bytes]:
    return {
        "min_runtime_version": MIN_RUNTIME_VERSION.encode().ljust(16, b"\0"),
        "edgeq_version": __version__.encode(),
        "edgeq_model_digest": digest.encode() or b"none",
    }


def _refuse_unsupported(graph: Graph) -> None:
    nodes = list(_all_nodes(graph))
    wide = [
        n.name
        for g, n in nodes
        if any(str(v.dtype) == "int16" for r, v in g.params(n).items() if r.endswith("weight"))
    ]
    if wide:
        raise UnsupportedOp(
            f"TFLite has no 16-bit weights: {', '.join(wide)}; export C or ONNX instead"
        )
    carried = [n.name for _, n in nodes if n.op in CARRYING]
    if carried:
        raise UnsupportedOp(
            f"TFLite has no recurrent operator whose state comes from outside: {', '.join(carried)}"
            " carries it on; the file of an export without --carry has the window"
        )
    known = {*LAYERS, *ROUTED}
    unknown = [f"{n.name} ({n.op})" for _, n in nodes if n.op not in known]
    if unknown:
        raise UnsupportedOp(f"TFLite has no form for {', '.join(unknown)}; known: {[*LAYERS]}")


def _all_nodes(graph: Graph) -> Iterator[tuple[Graph, Node]]:
    """Nodes with the graph they stand in, experts included."""
    for node in graph.nodes:
        yield graph, node
        for expert in getattr(node.attrs, "experts", ()):
            yield from _all_nodes(expert.graph)
