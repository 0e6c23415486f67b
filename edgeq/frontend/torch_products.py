"""PyTorch's products of two activations, attention among them. ATEN_PRODUCTS is the table."""

import math
from collections.abc import Mapping

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.placed import Placed, Placing, permuted
from edgeq.frontend.torch_layers import Arguments, Reader, activation, by_constant
from edgeq.ops import OPS
from edgeq.ops.batch_matmul import BatchMatMul
from edgeq.ops.graph_builder import Cursor
from edgeq.ops.softmax import Softmax


def _matmul(b: Placing, name: str, a: Arguments) -> Placed:
    second = a.get("mat2", a.get("other"))
    if isinstance(a["self"], Placed) and isinstance(second, Placed):
        return _product(b, name, a["self"], second)
    return by_constant(b, name, activation(a["self"]), second)


def _product(b: Placing, name: str, x: Placed, y: Placed) -> Placed:
    """Of their last two axes, the second as it lies; axes in front are the same or 1."""
    if min(x.rank, y.rank) < 2:
        raise Refused(f"it multiplies {('N', *x.shape)} by {('N', *y.shape)}, one a row alone")
    rank = max(x.rank, y.rank)
    x, y = (b.reshaped(t, (*(1,) * (rank - t.rank), *t.shape), name) for t in (x, y))
    front, down, across = tuple(range(rank - 2)), rank - 2, rank - 1
    turned = y.long_axes[-2:] == (across, down)
    given = (
        b.arranged(x, (*front, down, across), name),
        b.arranged(y, (*front, across, down) if turned else (*front, down, across), name),
    )
    made = b.add("BatchMatMul", name, BatchMatMul(turned), given)
    shape = (*np.broadcast_shapes(x.shape[:-2], y.shape[:-2]), x.shape[-2], y.shape[-1])
    return Placed(made.name, shape, tuple(range(rank)))


def _attention(b: Placing, name: str, a: Arguments) -> Placed:
    """softmax(query key' / sqrt(features)) value; without a mask."""
    if a["attn_mask"] is not None or a["is_causal"] or a["dropout_p"] or a["enable_gqa"]:
        raise Refused("attention with a mask, dropout or shared keys")
    query, key, value = (activation(a[part]) for part in ("query", "key", "value"))
    if key.rank < 2:
        raise Refused(f"attention over {('N', *key.shape)}")
    scale = 1 / math.sqrt(query.shape[-1]) if a["scale"] is None else float(a["scale"])
    last = key.rank - 1
    key = permuted(key, (*range(last - 1), last, last - 1))
    scores = _product(b, b.fresh(f"{name}.scores"), query, key)
    attrs = OPS["Affine"].attrs(scale, 0.0)
    given = Cursor(scores.name, scores.memory)
    scaled = b.add("Affine", b.fresh(f"{name}.scaled"), attrs, (given,))
    soft = b.add("Softmax", b.fresh(f"{name}.softmax"), Softmax(), (scaled,))
    return _product(b, name, Placed(soft.name, scores.shape, scores.axes), value)


ATEN_PRODUCTS: Mapping[str, Reader] = {
    **dict.fromkeys(("matmul", "mm", "bmm"), _matmul),
    "scaled_dot_product_attention": _attention,
}
