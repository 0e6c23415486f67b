"""Layers of edgeq.nn that remember -> ops; recurrent ones run over sequences (T, features)."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgeq.nn.graph_constants import Loading, bias, quant_of_rows, same_size
from edgeq.nn.layers import QuantLayer
from edgeq.nn.recurrent import GRU, LSTM, MGU, Recurrent
from edgeq.nn.structure import Delay
from edgeq.nn.svdf import SVDF
from edgeq.ops import delay
from edgeq.ops.copies import Slice
from edgeq.ops.graph_builder import Cursor
from edgeq.ops.gru import Gru
from edgeq.ops.lstm import Lstm
from edgeq.ops.mgu import Mgu
from edgeq.ops.op import Array
from edgeq.ops.reshape import Reshape
from edgeq.ops.svdf_feature import SvdfFeature
from edgeq.ops.svdf_time import SvdfTime


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


def _svdf(b: Loading, m: SVDF, path: str, x: Cursor) -> Cursor:
    _check_sequence(m.input_size, x)
    weight = {"feature_weight": _codes(b, m.filters, f"{path}.feature_weight")}
    x = b.add("SvdfFeature", f"{path}.filters", SvdfFeature(), (x,), weight)
    taps = _codes(b, m.taps, f"{path}.taps", lambda codes: codes.T)
    params = {"taps": taps, "bias": b.constant(f"{path}.bias", b.values(m.bias))}
    made = f"{path}.units" if m.last else path
    x = b.add("SvdfTime", made, SvdfTime(m.rank, m.memory - 1), (x,), params)
    if not m.last:
        return x
    attrs = Slice((0, x.shape[1] - 1, 0), (1, 1, m.units), (1, 1, 1))
    x = b.add("Slice", f"{path}.last_step", attrs, (x,))
    return b.add("Reshape", path, Reshape((m.units,)), (x,))


def _check_sequence(features: int, x: Cursor) -> None:
    """ValueError for what is no map (1, T, features)."""
    if len(x.shape) != 3 or x.shape[0] != 1:
        raise ValueError(f"takes a sequence (C, T), got {x.shape}; put it before Flatten")
    same_size("features", features, x.shape[2])


def _rows(b: Loading, features: int, path: str, x: Cursor) -> Cursor:
    """(T, features) of a map (1, T, features). ValueError for what is no sequence."""
    _check_sequence(features, x)
    return b.add("Reshape", f"{path}.rows", Reshape(x.shape[1:]), (x,))


def _codes(
    b: Loading, m: QuantLayer, name: str, place: Callable[[Array], Array] = lambda values: values
) -> str:
    """The weights, as codes once they are trained as such; `place` orders their axes."""
    if b.shapes_only or m.kind == "ptq":
        return b.constant(name, np.ascontiguousarray(place(b.values(m.weight))))
    codes, scale = m.quantized()
    scales = scale.numpy()[:1] if m.per_tensor else scale.numpy()
    values = np.ascontiguousarray(place(codes.numpy().astype(np.int8)))
    return b.constant(name, values, quant_of_rows(scales))


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
    SVDF: _svdf,
    Delay: _delay,
}
