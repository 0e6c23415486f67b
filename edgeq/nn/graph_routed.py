"""Mixtures and cascades on their way into a graph: what no loading of layers is needed for."""

from edgeq.errors import UnsupportedOp
from edgeq.ir import Node, TensorType
from edgeq.nn import mixture
from edgeq.nn.graph_constants import Loading, bias, ordered, same_size, weight
from edgeq.nn.router import BayesianRouter
from edgeq.ops import OPS
from edgeq.ops.cascade import Cascade
from edgeq.ops.graph_builder import Cursor
from edgeq.ops.mixture import Expert, Mixture
from edgeq.ops.routed import ROUTED
from edgeq.ops.router import MAX_PASSES, Router


def routed(
    b: Loading,
    path: str,
    op: str,
    inputs: tuple[Cursor, ...],
    attrs: Mixture | Cascade,
    params: dict[str, str],
) -> Cursor:
    """The node of experts: their output, the route, and the uncertainty or signal."""
    outputs = (f"{path}.out", f"{path}.route", f"{path}.uncertainty")
    shape = OPS[op].result_shape(attrs, tuple(c.shape for c in inputs), {})
    b.nodes.append(Node(path, op, tuple(c.name for c in inputs), outputs, attrs, params))
    b.tensors[outputs[0]] = TensorType(shape)
    b.tensors[outputs[1]] = b.tensors[outputs[2]] = TensorType((1,), "int32")
    return Cursor(outputs[0], shape)


def check_ends(experts: tuple[Expert, ...]) -> None:
    """One output scale serves all experts, and a softmax has a fixed one."""
    graphs = [e.graph for e in experts]
    ends = {p.op if (p := g.producer(g.outputs[0])) else "nothing" for g in graphs}
    if "Softmax" in ends and len(ends) > 1:
        raise UnsupportedOp(
            f"some experts end in Softmax, others in {', '.join(sorted(ends - {'Softmax'}))}; "
            "end all of them alike, best without Softmax"
        )
    shapes = {g.tensors[g.outputs[0]].shape for g in graphs}
    if len(shapes) > 1:
        raise UnsupportedOp(f"its experts give different shapes: {sorted(shapes)}")


def check_logits(experts: tuple[Expert, ...]) -> None:
    """A cascade compares logits: probabilities of 8 bits are nearly all 0 or 1."""
    for expert in experts:
        last = expert.graph.producer(expert.graph.outputs[0])
        if last is not None and last.op == "Softmax":
            raise UnsupportedOp(
                f"its expert {expert.name} ends in Softmax, and a cascade decides by logits; leave "
                "it out, or put one behind the cascade"
            )


def routed_outputs(builder: Loading) -> tuple[str, ...]:
    node = next((n for n in builder.nodes if n.op in ROUTED), None)
    return node.outputs[1:] if node else ()


def router(
    b: Loading, m: mixture.Mixture, path: str, seen: Cursor
) -> tuple[Router, dict[str, str]]:
    net = m.router
    bayesian = net if isinstance(net, BayesianRouter) else None
    if bayesian and bayesian.passes > MAX_PASSES:
        raise UnsupportedOp(
            f"{bayesian.passes} Monte Carlo passes; the firmware takes {MAX_PASSES}"
        )
    same_size("features", net.in_features, seen.shape[0])
    params: dict[str, str] = {}
    for i, layer in enumerate(net.linears):
        place = ordered(seen.order if i == 0 else None)
        params[f"router.{i}.weight"] = weight(b, layer, f"{path}.{i}", place)
        params[f"router.{i}.bias"] = bias(b, layer, f"{path}.{i}")
    attrs = Router(
        kind="bayesian" if bayesian else "plain",
        layers=len(net.linears),
        passes=bayesian.passes if bayesian else 0,
        dropout=net.dropout,
        seed=bayesian.seed if bayesian else 0,
        rule=m.rule,
        alpha=m.alpha,
        quantile=m.quantile,
        hold=m.hold,
    )
    return attrs, params
