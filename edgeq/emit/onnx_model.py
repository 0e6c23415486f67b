"""The quantised graph as an ONNX model in QDQ form, written node by node with onnx.helper.

Integer weights stay integers (INT4 where the codes fit) in front of DequantizeLinear, and every
activation passes QuantizeLinear and DequantizeLinear with the graph's own scale and zero point.
A runtime may so compute in float or fuse to integers; the float form rounds once, half to even,
where the integer contract rounds twice. From equal inputs a layer differs by at most 1 LSB: seldom
for multipliers of 2^-6 and less, in about a quarter of the cells for those between 1/4 and 1/2,
and oftener in an average pool over 2 x 2 cells, whose positive quarters the contract rounds up
(0.25 becomes 1).
LayerNorm saturates at 16 standard deviations in the contract and nowhere here: that can differ only
for a row of more than 257 features with one such outlier.
"""

import base64
from collections.abc import Sequence

from onnx import ModelProto, TensorProto, ValueInfoProto, helper
from onnx.checker import check_model

from edgeq.emit.onnx_builder import IR_VERSION, OPSET, OnnxBuilder, Shape, channels_first
from edgeq.emit.onnx_carried import CARRIED_OPS
from edgeq.emit.onnx_cascade import emit_cascade
from edgeq.emit.onnx_mixture import emit_mixture
from edgeq.emit.onnx_ops import ONNX_OPS, emit_node
from edgeq.emit.runs import file_names
from edgeq.emit.state_ports import StatePort, with_state_ports
from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph
from edgeq.ir.ports import result_tensors
from edgeq.ops.graph_note import NOTE, About, initialisers, is_routed, note_of
from edgeq.ops.op import quant_of
from edgeq.ops.routed import ROUTED
from edgeq.version import __version__

ROUTE, UNCERTAINTY = "route", "uncertainty"


def onnx_model(
    graph: Graph, name: str, model_digest: str = "", class_names: Sequence[str] | None = None
) -> ModelProto:
    """A checked ModelProto of a lowered graph; equal arguments give equal bytes. That of a graph
    with experts holds what takes it back to the graph (ops/graph_note.py), class names included.

    Input "input": float, NCHW for a map (H, W, C). Outputs "logits": float, dequantised; with a
    mixture or cascade also "route": int64 (1,) and "uncertainty": float (1,), of a cascade its
    signal. Several inputs or outputs have
    their ports' names; each state is one of either more (emit/state_ports.py). The batch is free
    but 1 with a mixture or cascade, where an `If` chooses for all rows, and with a state. Raises
    UnsupportedOp, naming every node.
    """
    open_graph, states = with_state_ports(graph)
    inputs, outputs = file_names(graph, states)
    graph = open_graph
    _check_supported(graph)
    b = OnnxBuilder()
    for source, given in zip(graph.inputs, inputs, strict=True):
        kind = graph.tensors[source]
        _, b.values[source] = b.requantize(given, source, quant_of(kind), kind.dtype)
    extra: tuple[str, ...] = ()
    for node in graph.nodes:
        if node.op == "Mixture":
            extra = emit_mixture(b, graph, node)
        elif node.op == "Cascade":
            extra = emit_cascade(b, graph, node)
        else:
            emit_node(b, graph, node)
    for tensor, made in zip(result_tensors(graph), outputs, strict=True):
        b.rename(b.values[tensor], made)
    for value, output in zip(extra, (ROUTE, UNCERTAINTY), strict=False):
        b.rename(value, output)
    model = _model(b, name, model_digest, _ends(graph, inputs, outputs, extra, states))
    if is_routed(graph):
        about = About(name, model_digest, tuple(class_names or ()), __version__)
        note = note_of(graph, about, initialisers(model.graph))
        model.metadata_props.add(key=NOTE, value=base64.b64encode(note).decode())
    check_model(model, full_check=True)
    return model


def _check_supported(graph: Graph) -> None:
    """Every op in the graph and its experts has an ONNX form, or UnsupportedOp lists them all."""
    bad = []
    for node in graph.nodes:
        inner = [n for e in getattr(node.attrs, "experts", ()) for n in e.graph.nodes]
        own = [] if node.op in ROUTED else [node]
        known = {*ONNX_OPS, *CARRIED_OPS}
        bad += [f"{n.op} ({n.name})" for n in (*own, *inner) if n.op not in known]
    if bad:
        allowed = ", ".join(sorted([*ONNX_OPS, *ROUTED]))
        raise UnsupportedOp(
            f"no ONNX form for {', '.join(bad)}; supported are {allowed}. "
            "Replace these layers, or export without ONNX."
        )


Values = list[ValueInfoProto]


def _ends(
    graph: Graph,
    inputs: Sequence[str],
    outputs: Sequence[str],
    extra: Sequence[str],
    states: Sequence[StatePort],
) -> tuple[Values, Values]:
    """The file's inputs and outputs, typed."""
    batch: int | str = 1 if extra or states else "N"
    value = helper.make_tensor_value_info

    def end(name: str, tensor: str) -> ValueInfoProto:
        inner: Shape = channels_first(graph.tensors[tensor].shape)
        return value(name, TensorProto.FLOAT, [batch, *inner])

    given = [end(*pair) for pair in zip(inputs, graph.inputs, strict=True)]
    made = [end(*pair) for pair in zip(outputs, result_tensors(graph), strict=True)]
    if extra:
        made.append(value(ROUTE, TensorProto.INT64, [1]))
        made.append(value(UNCERTAINTY, TensorProto.FLOAT, [1]))
    return given, made


def _model(b: OnnxBuilder, name: str, model_digest: str, ends: tuple[Values, Values]) -> ModelProto:
    proto = b.graph(name, *ends)
    model = helper.make_model(
        proto,
        producer_name="edgeq",
        producer_version=__version__,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    helper.set_model_props(model, {"edgeq.model_digest": model_digest})
    return model
