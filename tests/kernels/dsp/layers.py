"""Random fully connected layers as the exporter gives them to DSP kernels, and their calls."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgeq.ir import Quant, TensorType
from edgeq.kernels.streams import lanes, row_groups, trits, two_rows
from edgeq.kernels.streams.stream import Stream
from edgeq.ops import fully_connected
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.op import Io, activation_bounds
from edgeq.ops.weighted import S16_LIMIT
from tests.kernels import samples
from tests.kernels.dsp.core import Core
from tests.kernels.host_kernels import FullyConnectedParams, Held, call

ACTIVATIONS = ("none", "relu", "relu6")


def _lanes_scratch(token: str) -> Callable[[int, int], int]:
    return lambda inputs, _outputs: lanes.LANES[token].scratch_bytes(inputs)


STREAMS: dict[str, tuple[Stream, Callable[[int, int], int]]] = {
    "s8": (row_groups.S8, row_groups.scratch_bytes),
    "s4": (row_groups.S4, row_groups.scratch_bytes),
    "s3": (row_groups.S3, row_groups.scratch_bytes),
    "s16": (row_groups.S16, row_groups.scratch_bytes),
    "t2": (two_rows.T2, two_rows.scratch_bytes_t2),
    "s2": (two_rows.S2, two_rows.scratch_bytes_s2),
    "b1": (two_rows.B1, two_rows.scratch_bytes_b1),
    "s4_whole": (row_groups.S4_WHOLE, row_groups.scratch_bytes),
    "t2_whole": (two_rows.T2_WHOLE, two_rows.scratch_bytes_t2_whole),
    "t5": (trits.T5, trits.scratch_bytes),
    **{f"{token}_v6m": (stream, _lanes_scratch(token)) for token, stream in lanes.STREAMS.items()},
}
VECTOR_TYPES = np.int32, np.int32, np.int8
FORMATS = {token: token[:2] for token in STREAMS} | {"s16": "s16", "t5": "t2"}  # in the graph


@dataclass(frozen=True)
class Layer:
    """One layer with its input, and what the kernel must answer."""

    token: str
    x: samples.Array
    weight: samples.Array
    q_in: Quant
    q_out: Quant
    r: samples.Requantization
    bounds: tuple[int, int]
    wanted: samples.Array

    @property
    def words(self) -> samples.Array:
        return STREAMS[self.token][0].pack(self.weight)

    @property
    def bias(self) -> samples.Array:
        sums = self.weight.astype(np.int64).sum(1)
        return STREAMS[self.token][0].bias(sums, self.r.bias, self.q_in.zero_point)

    @property
    def vectors(self) -> tuple[samples.Array, samples.Array, samples.Array]:
        """Bias, multiplier and shift as the kernel reads them."""
        stream = STREAMS[self.token][0]
        return stream.vectors(self.bias, self.r.multiplier, self.r.shift, self.weight)

    @property
    def scratch_bytes(self) -> int:
        outputs, inputs = self.weight.shape
        return STREAMS[self.token][1](inputs, outputs)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The fields of the parameters behind the pointers."""
        outputs, inputs = self.weight.shape
        return (inputs, outputs, self.q_in.zero_point, self.q_out.zero_point, *self.bounds)

    @property
    def function(self) -> str:
        isa = "" if self.token == "t5" or self.token.endswith("v6m") else "_dsp"
        return f"edgeq_fully_connected_s8_{self.token}{isa}"


def right_shifts(rng: np.random.Generator, reach: samples.Array) -> samples.Requantization:
    """What the exporter gives DSP kernels: right shifts only."""
    bias = rng.integers(-(2**16), 2**16 + 1, reach.shape)
    bits = np.ceil(np.log2(reach + np.abs(bias) + 2)).astype(np.int64)
    near = np.where(rng.random(bits.shape) < 0.8, bits - 8, rng.integers(1, 32, bits.shape))
    multiplier = rng.integers(2**30, 2**31, bits.shape)
    multiplier[rng.random(bits.shape) < 0.1] = 2**31 - 1
    multiplier[rng.random(bits.shape) < 0.05] = 0
    return samples.Requantization(
        bias.astype(np.int32),
        multiplier.astype(np.int32),
        -np.clip(near, 1, 31).astype(np.int32),
    )


def layer(
    token: str, inputs: int, outputs: int, seed: int, fill: str, act: str, w_fill: str = ""
) -> Layer:
    """w_fill: that of the weights, by default any."""
    rng = np.random.default_rng(seed)
    x = samples.activations(rng, fill, (1, inputs))
    chosen = w_fill or str(rng.choice([fill, *samples.FILLS]))
    weight = samples.weights(rng, chosen, (outputs, inputs), FORMATS[token])
    if token == "s16":  # scaled until accumulators of all 32 bits can hold a row, as an export does
        most = np.abs(weight.astype(np.int64)).sum(1).max() * 255 + 2**17
        weight = np.trunc(weight / max(1.0, most / S16_LIMIT)).astype(np.int16)
    weight = within_norm(weight, STREAMS[token][0].most_norm, inputs - 1 if seed % 2 else 0)
    q_in, q_out = samples.quant(rng), samples.quant(rng)
    r = right_shifts(rng, np.abs(weight.astype(np.int64)).sum(1) * 255)
    return with_answer(token, x, weight, q_in, q_out, r, act)


def within_norm(weight: samples.Array, most: int | None, last: int) -> samples.Array:
    """The weights of a row, from column 0 or from the last, as far as their sum of |w| may go."""
    if most is None:
        return weight
    order = slice(None, None, -1) if last else slice(None)
    inside = np.abs(weight[:, order].astype(np.int64)).cumsum(1) <= most
    return np.asarray(weight * inside[:, order])


def with_answer(
    token: str,
    x: samples.Array,
    weight: samples.Array,
    q_in: Quant,
    q_out: Quant,
    r: samples.Requantization,
    act: str,
) -> Layer:
    """The layer with what the reference says; x is (1, inputs)."""
    outputs, inputs = weight.shape
    io = Io((TensorType((inputs,), "int8", q_in),), TensorType((outputs,), "int8", q_out))
    params = {"weight": weight, "bias": r.bias, "multiplier": r.multiplier, "shift": r.shift}
    wanted = fully_connected.OP.reference(FullyConnected(FORMATS[token], act), io, (x,), params)
    return Layer(token, x, weight, q_in, q_out, r, activation_bounds(act, q_out), wanted[0])


def on_host(kernels: ctypes.CDLL, one: Layer) -> samples.Array:
    """y of the plain C twin."""
    held, y = Held(), np.zeros(len(one.weight), np.int8)
    params = FullyConnectedParams(
        held.pointer(one.words, np.uint32),
        *(held.pointer(v, t) for v, t in zip(one.vectors, VECTOR_TYPES, strict=True)),
        *one.numbers,
    )
    scratch = np.zeros(one.scratch_bytes, np.uint8)
    call(getattr(kernels, one.function), params, one.x, y, scratch)
    return y


def on_core(core: Core, one: Layer) -> tuple[samples.Array, int]:
    """(y, half cycles) of the assembly; x and y off the words."""
    params = core.words(
        core.values(one.words, np.uint32),
        *(core.values(v, t) for v, t in zip(one.vectors, VECTOR_TYPES, strict=True)),
        *one.numbers,
    )
    x, y = core.put(one.x.tobytes(), 1), core.put(bytes(len(one.weight)), 1)
    return core.call(one.function, params, x, y, len(one.weight), one.scratch_bytes)
