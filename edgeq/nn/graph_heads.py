"""Heads of a cascade's expert as layers of its graph: one linear layer gives all of them.

The masks of Monte Carlo dropout are constants, so a masked layer is another layer with zeros in its
weights: K of them stand in one.
"""

from collections.abc import Callable, Mapping

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
        kind = node.attrs.weight_format
        return _masked(b, node.params, kind, masks, made.dropout, path, features).name
    head = m.heads[stage]
    assert isinstance(head, Linear)  # as the module's constructor has seen to
    params = _constants(b, head, path, ordered(features.order))
    kind = FullyConnected(head.weight_format)
    return b.add("FullyConnected", path, kind, (features,), params).name


def _router(b: Loading, router: object, path: str, seen: Cursor) -> str:
    """Its first layer once, the others under the masks of each pass."""
    assert isinstance(router, BayesianRouter)  # as the module's constructor has seen to
    same_size("features", router.in_features, seen.shape[0])
    first, *rest = router.linears
    kind = FullyConnected(first.weight_format)
    params = _constants(b, first, f"{path}.fc1", ordered(seen.order))
    x = b.add("FullyConnected", f"{path}.fc1", kind, (seen,), params)
    for i, layer in enumerate(rest):
        x = b.add("Relu", f"{path}.relu{i + 1}", Relu("relu"), (x,))
        given = _constants(b, layer, f"{path}.fc{i + 2}", ordered(None))
        own = path if layer is rest[-1] else f"{path}.passes{i + 2}"
        masks = router.masks(i)
        x = _masked(b, given, layer.weight_format, masks, router.dropout, own, x, shared=i == 0)
    return x.name


def _constants(
    b: Loading, layer: Linear, path: str, place: Callable[[Array], Array]
) -> dict[str, str]:
    return {"weight": weight(b, layer, path, place), "bias": bias(b, layer, path)}


def _masked(
    b: Loading,
    params: Mapping[str, str],
    weight_format: str,
    masks: Array,
    dropout: float,
    path: str,
    features: Cursor,
    shared: bool = True,
) -> Cursor:
    """The layer with these constants once for each mask (K, in), kept weights over 1 - p.

    The copies read the same features, or, where those are not `shared`, each its own: then the
    weights of all other copies' features are zeros.
    """
    codes, quant = b.constants[params["weight"]], b.tensors[params["weight"]].quant
    copies = codes[None] * masks[:, None].astype(codes.dtype)
    stacked = copies.reshape(-1, codes.shape[1]) if shared else _apart(copies)
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
    return b.add("FullyConnected", path, kind, (features,), own)


def _apart(copies: Array) -> Array:
    """(K * out, K * in) of (K, out, in): blocks on the diagonal."""
    count, outputs, inputs = copies.shape
    made = np.zeros((count, outputs, count, inputs), copies.dtype)
    made[np.arange(count), :, np.arange(count)] = copies
    return made.reshape(count * outputs, count * inputs)


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
