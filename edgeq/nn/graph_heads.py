"""Heads of a cascade's expert as layers of its graph: one linear layer gives all of them.

The masks of Monte Carlo dropout are constants, so a masked layer is another layer with zeros in its
weights: K of them stand in one.
"""

import numpy as np

from edgeq.errors import UnsupportedOp
from edgeq.ir import Quant
from edgeq.nn.cascade import Cascade
from edgeq.nn.graph_constants import Loading, bias, ordered, same_size, weight
from edgeq.nn.layers import Linear
from edgeq.nn.router import BayesianRouter
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.graph_builder import Cursor
from edgeq.ops.op import Array
from edgeq.ops.relu import Relu

WITHOUT_ZERO = ("s2", "b1")  # formats that cannot hold a dropped weight


def add_heads(b: Loading, m: Cascade, place: tuple[str, int], last: Cursor, seen: Cursor) -> str:
    """The tensor (K * classes,) of an expert that ends in `last`; `seen`: what a router reads.
    `place`: the cascade's path and the expert's number.
    """
    path, stage = f"{place[0]}.heads.{place[1]}", place[1]
    if m.signal == "router":
        return _router(b, m.heads[stage], path, seen)
    node = b.nodes[-1]
    if node.op != "FullyConnected" or node.outputs[0] != last.name:
        raise UnsupportedOp(f"ends in {node.op}; heads stand beside a Linear that ends an expert")
    features = Cursor(node.inputs[0], b.tensors[node.inputs[0]].shape, b.orders[node.inputs[0]])
    if m.signal == "monte_carlo":
        made = m.monte_carlo(stage)
        masks = made.masks if features.order is None else made.masks[:, features.order]
        return _masked(
            b, node.params, node.attrs.weight_format, masks, made.dropout, path, features
        )
    head = m.heads[stage]
    assert isinstance(head, Linear)  # as the module's constructor has seen to
    params = {"weight": weight(b, head, path, ordered(features.order)), "bias": bias(b, head, path)}
    return b.add(
        "FullyConnected", path, FullyConnected(head.weight_format), (features,), params
    ).name


def _router(b: Loading, router: object, path: str, seen: Cursor) -> str:
    """Its first layer once, its last one under the masks."""
    assert isinstance(router, BayesianRouter)  # as the module's constructor has seen to
    first, last = router.linears
    same_size("features", router.in_features, seen.shape[0])
    given = {
        "weight": weight(b, first, f"{path}.fc1", ordered(seen.order)),
        "bias": bias(b, first, f"{path}.fc1"),
    }
    kind = FullyConnected(first.weight_format)
    hidden = b.add("FullyConnected", f"{path}.fc1", kind, (seen,), given)
    hidden = b.add("Relu", f"{path}.relu", Relu("relu"), (hidden,))
    end = {
        "weight": weight(b, last, f"{path}.fc2", ordered(None)),
        "bias": bias(b, last, f"{path}.fc2"),
    }
    return _masked(b, end, last.weight_format, router.masks(0), router.dropout, path, hidden)


def _masked(
    b: Loading,
    params: object,
    weight_format: str,
    masks: Array,
    dropout: float,
    path: str,
    features: Cursor,
) -> str:
    """The layer with these constants once for each mask (K, in), kept weights over 1 - p."""
    assert isinstance(params, dict)
    codes, quant = b.constants[params["weight"]], b.tensors[params["weight"]].quant
    stacked = (codes[None] * masks[:, None].astype(codes.dtype)).reshape(-1, codes.shape[1])
    if quant is None:
        grown = None
        stacked = (stacked / np.float32(1.0 - dropout)).astype(codes.dtype)
    else:
        scales = tuple(s / (1.0 - dropout) for s in quant.scale)
        repeats = 1 if len(scales) == 1 else len(masks)
        grown = Quant(scales * repeats, quant.zero_point, quant.axis)
    own = {
        "weight": b.constant(f"{path}.weight", np.ascontiguousarray(stacked), grown),
        "bias": b.constant(f"{path}.bias", np.tile(b.constants[params["bias"]], len(masks))),
    }
    kind = FullyConnected("s8" if weight_format in WITHOUT_ZERO else weight_format)
    return b.add("FullyConnected", path, kind, (features,), own).name


def carried(b: Loading) -> Cursor | None:
    """What an exit hands to the next expert, None for an expert that is no exit.

    Raises UnsupportedOp where the head would change it, or another order of features hides in it.
    """
    x = b.carried
    if x is None or b.unsupported:
        return None
    readers = [node.op for node in b.nodes if x.name in node.inputs]
    if x.order is not None:
        raise UnsupportedOp("an exit's block ends in a flattened map; flatten in its head")
    if b.producer(x.name) in (None, "Reshape") or {"Relu", "BatchNorm"} & set(readers):
        raise UnsupportedOp(
            "an exit's block computes something, and norms and activations of it end it; its head "
            f"begins with {', '.join(readers) or 'nothing'}"
        )
    return x
