"""Minimal gated unit (arXiv 1603.09420) over a sequence (T, features) -> (T, units), its state zero
before each: int8 in and out, an int16 state. Integers and constants are a Gru's (`ops/gru.py`).

One gate forgets and resets: n = tanh(x_n + f h_n), h' = (1 - f) h + f n. It stands behind the
recurrent product, as a Gru's reset gate does, so that the products read the state as int8.
Gates are in the order forget, new, a block of `units` rows each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeq.ops.gates import sigmoid, units_of
from edgeq.ops.gru import half_up, row
from edgeq.ops.lstm_steps import saturated, sigmoid_q15, tanh_q15
from edgeq.ops.op import Array, Params

GATES = 2
FORGET, NEW = range(GATES)


@dataclass(frozen=True)
class Mgu:
    pass


def _float_forward(attrs: Mgu, x: tuple[Array, ...], params: Params) -> Array:
    hidden, made = np.zeros((len(x[0]), units_of(params))), []
    for step in range(x[0].shape[1]):
        own = x[0][:, step] @ params["input_weight"].T + params["bias"]
        kept = hidden @ params["recurrent_weight"].T + params["recurrent_bias"]
        (own_f, own_n), (kept_f, kept_n) = (np.split(s, GATES, axis=1) for s in (own, kept))
        share = sigmoid(own_f + kept_f)
        hidden = (1 - share) * hidden + share * np.tanh(own_n + share * kept_n)
        made.append(hidden)
    return np.stack(made, axis=1)


def step(own: Sequence[Array], kept: Sequence[Array], state: Array) -> Array:
    share = sigmoid_q15(saturated(own[FORGET] + kept[FORGET]))
    new = tanh_q15(saturated(own[NEW] + half_up(share * kept[NEW])), -12)
    return half_up(((1 << 15) - share) * state + share * new)


OP = row(Mgu, GATES, _float_forward, step)
