"""Layers of edgeq.nn that remember -> ops; recurrent ones run over sequences (T, features)."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgeq.nn.graph_constants import Loading, bias, quant_of_rows, same_size
from edgeq.nn.recurrent import GRU, LSTM, MGU, Gates, Recurrent
from edgeq.nn.structure import Delay
from edgeq.ops import delay
from edgeq.ops.copies import Slice
from edgeq.ops.graph_builder import Cursor
from edgeq.ops.gru import Gru
from edgeq.ops.lstm import Lstm
from edgeq.ops.mgu import Mgu
from edgeq.ops.reshape import Reshape


def _lstm(b: Loading, m: LSTM, path: str, x: Cursor) -> Cursor:
    rows = _rows(b, m.input_size, path, x)
    attrs = Lstm(m.cell_power(rows.shape[0]))
    made = b.add("Lstm", f"{path}.lstm", attrs, (rows,), _weights(b, m, path))
    return _ended(b, path, made, last=m.last)


def _one_state(b: Loading, m: GRU | MGU, path: str, x: Cursor) -> Cursor:
    rows = _rows(b, m.input_size, path, x)
    params = {**_weights(b, m, path), "recurrent_bias": bias(b, m.kept, f"{path}.recurrent")}
    attrs = Gru() if isinstance(m, GRU) else Mgu()
    op = type(attrs).__name__
    made = b.add(op, f"{path}.{op.lower()}", attrs, (rows,), params)
    return _ended(b, path, made, last=m.last)


def _weights(b: Loading, m: Recurrent, path: str) -> dict[str, str]:
    return {
        "input_weight": _codes(b, m.given, f"{path}.input_weight"),
        "recurrent_weight": _codes(b, m.kept, f"{path}.recurrent_weight"),
        "bias": bias(b, m.given, path),
    }


def _rows(b: Loading, features: int, path: str, x: Cursor) -> Cursor:
    """(T, features) of a map (1, T, features). ValueError for what is no sequence."""
    if len(x.shape) != 3 or x.shape[0] != 1:
        raise ValueError(f"takes a sequence (C, T), got {x.shape}; put it before Flatten")
    same_size("features", features, x.shape[2])
    return b.add("Reshape", f"{path}.rows", Reshape(x.shape[1:]), (x,))


def _codes(b: Loading, m: Gates, name: str) -> str:
    """The weights, as codes once they are trained as such."""
    if b.shapes_only or m.kind == "ptq":
        return b.constant(name, b.values(m.weight))
    codes, scale = m.quantized()
    return b.constant(name, codes.numpy().astype(np.int8), quant_of_rows(scale.numpy()))


def _ended(b: Loading, path: str, x: Cursor, *, last: bool) -> Cursor:
    """A map (1, T, units), or the last step's units."""
    steps, units = x.shape
    if not last:
        return b.add("Reshape", path, Reshape((1, steps, units)), (x,))
    attrs = Slice((steps - 1, 0), (1, units), (1, 1))
    x = b.add("Slice", f"{path}.last_step", attrs, (x,))
    return b.add("Reshape", path, Reshape((units,)), (x,))


def _delay(b: Loading, _: Delay, path: str, x: Cursor) -> Cursor:
    return b.add("Delay", path, delay.Delay(), (x,), order=x.order)


RECURRENT: Mapping[type, Callable[[Loading, Any, str, Cursor], Cursor]] = {
    GRU: _one_state,
    LSTM: _lstm,
    MGU: _one_state,
    Delay: _delay,
}
