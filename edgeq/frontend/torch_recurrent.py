"""torch.nn.LSTM and GRU, as torch.export leaves them: a chain of layers over (T, features)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from edgeq.frontend.findings import Refused
from edgeq.frontend.placed import Placed, Placing
from edgeq.frontend.torch_batch import Whole
from edgeq.frontend.torch_layers import Arguments, activation, constant
from edgeq.ops.concat import Concat
from edgeq.ops.copies import Slice
from edgeq.ops.graph_builder import Cursor
from edgeq.ops.gru import Gru
from edgeq.ops.lstm import Lstm, cell_power
from edgeq.ops.op import Array
from edgeq.ops.reshape import Reshape

Layer = Callable[[Placing, str, Cursor, Sequence[Array]], Cursor]
SEQUENCE = "(N, T, features) with batch_first=True"


def _lstm(b: Placing, name: str, a: Arguments) -> list[Placed | Whole | None]:
    """[outputs, last hidden states, None: nothing takes a cell]."""
    x = _sequence(b, name, a, list(a["hx"]))
    x, states = _layers(b, name, a, x, _lstm_layer)
    return [Placed(x.name, x.shape, (0, 1)), states, None]


def _gru(b: Placing, name: str, a: Arguments) -> list[Placed | Whole]:
    """[outputs, last hidden states]."""
    x = _sequence(b, name, a, [a["hx"]])
    x, states = _layers(b, name, a, x, _gru_layer)
    return [Placed(x.name, x.shape, (0, 1)), states]


def _sequence(b: Placing, name: str, a: Arguments, states: Sequence[object]) -> Cursor:
    """The input (T, features). Refused for what no kernel computes."""
    if a["bidirectional"]:
        raise Refused("it is bidirectional: it reads the future; use one direction")
    if not a["batch_first"]:
        raise Refused(f"it takes (T, N, features); build it for {SEQUENCE}")
    x = activation(a["input"])
    if x.rank != 2:
        raise Refused(f"it takes {SEQUENCE}, got {('N', *x.shape)}")
    for state in states:
        if not isinstance(state, Tensor) or bool((state != 0).any()):
            raise Refused("it begins with a state of its own; zeros are taken")
    return b.arranged(x, (0, 1), name)


def _layers(b: Placing, name: str, a: Arguments, x: Cursor, layer: Layer) -> tuple[Cursor, Whole]:
    count = int(a["num_layers"])
    each = len(a["params"]) // count
    if each != (4 if a["has_biases"] else 2):
        raise Refused("it has a projection (proj_size)")
    ends = []
    for at in range(count):
        values = [constant(w, "weight") for w in a["params"][at * each : (at + 1) * each]]
        own = name if at == count - 1 else b.fresh(f"{name}.layer{at}")
        x = layer(b, own, x, values)
        steps, units = x.shape
        last = Slice((steps - 1, 0), (1, units), (1, 1))
        ends.append(b.add("Slice", b.fresh(f"{name}.last_step"), last, (x,)))
    joined = ends[0]
    if count > 1:
        joined = b.add("Concat", b.fresh(f"{name}.last_steps"), Concat(0), tuple(ends))
    apart = Reshape((count, 1, joined.shape[1]))
    states = b.add("Reshape", b.fresh(f"{name}.states"), apart, (joined,))
    return x, Whole(Placed(states.name, states.shape, (0, 1, 2)))


def _lstm_layer(b: Placing, name: str, x: Cursor, values: Sequence[Array]) -> Cursor:
    """Its gates are in the op's own order."""
    given, kept, *biases = values
    bias = np.sum(biases, axis=0) if biases else np.zeros(len(given), np.float32)
    constants = {"input_weight": given, "recurrent_weight": kept, "bias": bias}
    return _added(b, name, x, Lstm(cell_power(x.shape[0])), constants)


def _gru_layer(b: Placing, name: str, x: Cursor, values: Sequence[Array]) -> Cursor:
    """Its gates are in the op's own order."""
    given, kept, *biases = values
    own, before = biases or [np.zeros(len(given), np.float32)] * 2
    constants = {"input_weight": given, "recurrent_weight": kept}
    return _added(b, name, x, Gru(), {**constants, "bias": own, "recurrent_bias": before})


def _added(
    b: Placing, name: str, x: Cursor, attrs: Lstm | Gru, constants: Mapping[str, Array]
) -> Cursor:
    params = {r: b.constant(f"{name}.{r}", v.astype(np.float32)) for r, v in constants.items()}
    return b.add(type(attrs).__name__, name, attrs, (x,), params)


ATEN_RECURRENT: Mapping[str, Callable[..., Any]] = {"gru": _gru, "lstm": _lstm}
