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

from onnx import ModelProto, TensorProto, helper
from onnx.checker import check_model

from edgeq import __version__
from edgeq.emit.onnx_builder import IR_VERSION, OPSET, OnnxBuilder, Shape, channels_first
from edgeq.emit.onnx_mixture import emit_mixture
from edgeq.emit.onnx_ops import ONNX_OPS, emit_node
from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph
from edgeq.ops.op import quant_of

INPUT, LOGITS, ROUTE, UNCERTAINTY = "input", "logits", "route", "uncertainty"


def onnx_model(graph: Graph, name: str, model_digest: str = "") -> ModelProto:
    """A checked ModelProto of a lowered graph; equal arguments give equal bytes.

    Input "input": float, NCHW for a map (H, W, C). Outputs "logits": float, dequantised; with a
    mixture also "route": int64 (1,) and "uncertainty": float (1,). The batch is free without a
    mixture and 1 with one: an `If` chooses for all rows. Raises UnsupportedOp, naming every node.
    """
    _check_supported(graph)
    b = OnnxBuilder()
    source = graph.inputs[0]
    _, b.values[source] = b.requantize(INPUT, source, quant_of(graph.tensors[source]))
    extra: tuple[str, ...] = ()
    for node in graph.nodes:
        if node.op == "Mixture":
            extra = emit_mixture(b, graph, node)
        else:
            emit_node(b, graph, node)
    b.rename(b.values[graph.outputs[0]], LOGITS)
    for value, output in zip(extra, (ROUTE, UNCERTAINTY), strict=False):
        b.rename(value, output)
    model = _model(b, graph, name, model_digest, bool(extra))
    check_model(model, full_check=True)
    return model


def _check_supported(graph: Graph) -> None:
    """Every op in the graph and its experts has an ONNX form, or UnsupportedOp lists them all."""
    bad = []
    for node in graph.nodes:
        inner = [n for e in getattr(node.attrs, "experts", ()) for n in e.graph.nodes]
        own = [] if node.op == "Mixture" else [node]
        bad += [f"{n.op} ({n.name})" for n in (*own, *inner) if n.op not in ONNX_OPS]
    if bad:
        allowed = ", ".join(sorted([*ONNX_OPS, "Mixture"]))
        raise UnsupportedOp(
            f"no ONNX form for {', '.join(bad)}; supported are {allowed}. "
            "Replace these layers, or export without ONNX."
        )


def _model(b: OnnxBuilder, graph: Graph, name: str, model_digest: str, mixture: bool) -> ModelProto:
    batch: int | str = 1 if mixture else "N"

    def shape(tensor: str) -> list[int | str]:
        inner: Shape = channels_first(graph.tensors[tensor].shape)
        return [batch, *inner]

    value = helper.make_tensor_value_info
    outputs = [value(LOGITS, TensorProto.FLOAT, shape(graph.outputs[0]))]
    if mixture:
        outputs.append(value(ROUTE, TensorProto.INT64, [1]))
        outputs.append(value(UNCERTAINTY, TensorProto.FLOAT, [1]))
    proto = b.graph(name, [value(INPUT, TensorProto.FLOAT, shape(graph.inputs[0]))], outputs)
    model = helper.make_model(
        proto,
        producer_name="edgeq",
        producer_version=__version__,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    helper.set_model_props(model, {"edgeq.model_digest": model_digest})
    return model
