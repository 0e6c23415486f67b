"""How far several heads on the same features agree: signals of K answers instead of one.

`spread` is the epistemic uncertainty of Monte Carlo dropout (arXiv 2511.11743): the unbiased
variance of the heads' probabilities, summed over classes, in Q24. `ensemble` is the gap between the
two largest sums of logits over the heads (QUTE, arXiv 2404.12599).
"""

from collections.abc import Mapping

import numpy as np

from edgeq.ops.fixed_point import Int64, exp_table, softmax_q15
from edgeq.ops.op import Array, Params
from edgeq.ops.router import uncertainty_factor, uncertainty_numerator, uncertainty_q24

SPREAD_BITS = 24
MOST_HEADS = 16  # the kernel keeps a softmax of each on its stack


def spread(heads: Array, params: Params) -> Int64:
    """(rows,) Q24 of int8 logits (rows, K, classes). params: exp_table."""
    p = softmax_q15(heads, params["exp_table"].astype(np.uint16))
    return uncertainty_q24(uncertainty_numerator(p.transpose(1, 0, 2)), heads.shape[1])


def real_spread(heads: Array) -> Array:
    """The same of real logits (rows, K, classes)."""
    e = np.exp(heads - heads.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)
    return np.asarray(p.var(axis=1, ddof=1).sum(axis=-1))


def lower_spread(scale: float, heads: int) -> Mapping[str, Array]:
    """The constants, from the logits' scale."""
    factor = np.array([uncertainty_factor(heads)], np.int64)
    return {"exp_table": exp_table(scale), "factor": factor}


def spread_step(scale: float) -> int:
    """What a step of a logit moves, for heads that differ as little as those of dropout do."""
    return max(1, int(scale * 2 ** (SPREAD_BITS - 4)))


def ensemble(heads: Array, _params: Params) -> Int64:
    """(rows,) in steps of int8 logits (rows, K, classes): 0 where two classes share the maximum."""
    return top_two(heads.astype(np.int64).sum(axis=1))


def real_ensemble(heads: Array) -> Array:
    """The same of real logits, in their own unit."""
    return top_two(heads.sum(axis=1))


def top_two(values: Array) -> Array:
    """Largest less second largest of (rows, classes)."""
    ordered = np.sort(values, axis=-1)
    return np.asarray(ordered[:, -1] - ordered[:, -2])
