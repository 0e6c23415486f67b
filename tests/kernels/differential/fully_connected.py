"""FullyConnected: cases for the plain kernels and for those that read streams of weights."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edgeq.ir import Quant, TensorType
from edgeq.kernels import PACKINGS
from edgeq.kernels.streams import row_groups
from edgeq.ops import OPS
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.op import Io, activation_bounds
from tests.kernels import samples
from tests.kernels.differential.case import Call, Case, Const, Field, Out, Pointer, Scratch, Struct
from tests.kernels.dsp.layers import ACTIVATIONS, STREAMS, Layer, layer, with_answer

SPARE = 3  # bytes of scratch: that many may happen to be written as they were
# inputs around every group of codes, outputs around pairs and quads
PLAIN = ((1, 1), (2, 3), (3, 2), (4, 1), (5, 4), (7, 5), (8, 3), (9, 2), (17, 7), (70, 9))
# around blocks of 8 and turns of 32 columns, chunks of 512 and 1024, groups, blocks of 48 outputs
WIDE = ((1, 1), (8, 2), (9, 5), (31, 7), (64, 12), (75, 51), (120, 13), (521, 14), (1033, 11))
# inputs around a step, a pass and a block of each narrow format; outputs around a run
NARROW = ((1, 1), (8, 4), (9, 5), (41, 8), (57, 9), (120, 13), (241, 3), (248, 12), (500, 2))
# rows that the others split, the longest that these do not, and longer ones
WHOLE = {
    "t2_whole": (*NARROW, (1920, 4), (1921, 9), (3850, 8)),
    "s4_whole": (*WIDE, (4096, 9), (4104, 12)),
}
TABLES = ((1, 1), (4, 4), (5, 5), (39, 8), (40, 9), (41, 12), (119, 13), (120, 64), (201, 3))
# around turns of 4 to 16 columns and chunks of 16 to 240
CHUNKS = (
    (1, 1),
    (4, 4),
    (9, 5),
    (16, 16),
    (17, 3),
    (41, 6),
    (81, 2),
    (129, 33),
    (241, 5),
    (500, 7),
)


def params(
    words: samples.Array, r: samples.Requantization, bias: samples.Array, numbers: tuple[int, ...]
) -> Struct:
    """edgeq_fully_connected_params; numbers: inputs, outputs, zero points, bounds."""
    pointers = (words, bias.astype(np.int32), r.multiplier.astype(np.int32))
    fields: tuple[Field, ...] = tuple(Const(p) for p in pointers)
    return Struct((*fields, Const(r.shift.astype(np.int8)), *numbers))


def plain(
    token: str, inputs: int, outputs: int, seed: int, fill: str, act: str, aim: bool = False
) -> Case:
    """A random layer for the plain kernel of a packing token; aim: see samples.aimed."""
    rng = np.random.default_rng(seed)
    x = samples.activations(rng, fill, (1, inputs))
    weight = samples.weights(rng, fill, (outputs, inputs), token)
    q_in, q_out = samples.quant(rng), samples.quant(rng)
    r = samples.requantization(rng, np.abs(weight.astype(int)).sum(1), q_in.zero_point)
    if aim:
        sums = (x[0].astype(np.int64) - q_in.zero_point) @ weight.T
        r = samples.aimed(rng, sums, q_out.zero_point, left=True)
    io = Io((TensorType((inputs,), "int8", q_in),), TensorType((outputs,), "int8", q_out))
    constants = {"weight": weight, "bias": r.bias, "multiplier": r.multiplier, "shift": r.shift}
    attrs = FullyConnected(token, act)
    wanted = OPS["FullyConnected"].reference(attrs, io, (x,), constants)[0]
    packed = np.frombuffer(PACKINGS[token].pack(weight), np.uint8)
    bounds = activation_bounds(act, q_out)
    given = params(packed, r, r.bias, (inputs, outputs, q_in.zero_point, q_out.zero_point, *bounds))
    name = f"edgeq_fully_connected_s8_{token}"
    label = f"{name} {inputs}x{outputs}, {fill}, {act}, seed {seed}"
    return Case(label, (Call(name, (Pointer((given,)), Const(x), Out(wanted))),))


def plain_cases(token: str) -> Iterator[Case]:
    """Every remainder of a group; all fills; rows as wide as int32 holds at the extremes."""
    for seed, (inputs, outputs) in enumerate(PLAIN):
        for i, fill in enumerate(samples.FILLS):
            yield plain(token, inputs, outputs, 8 * seed + i, fill, ACTIVATIONS[(seed + i) % 3])
            yield plain(token, inputs, outputs, 8 * seed + i, fill, "none", aim=True)
    for seed, fill in enumerate(samples.FILLS):
        yield plain(token, 250 if token == "s16" else 1536, 12, seed, fill, "none")


def of_stream(one: Layer) -> Case:
    """The layer for the kernel that reads its weights as a stream; x and y off the words."""
    r = samples.Requantization(*one.vectors)
    given = params(one.words.astype(np.uint32), r, r.bias, one.numbers)
    x, y = Const(one.x, off=1), Out(one.wanted, off=1)
    call = Call(one.function, (Pointer((given,)), x, y, Scratch(one.scratch_bytes, spare=SPARE)))
    inputs, outputs = one.numbers[:2]
    return Case(f"{one.function} {inputs}x{outputs}", (call,))


def stream_cases(token: str) -> Iterator[Case]:
    """Around every step of the kernel's loops, and its lanes at their extremes."""
    if token.endswith("_v6m"):
        for act in ("none", "relu6"):
            yield of_stream(far_beyond_int8(token, act))
        yield of_stream(near_ties(token))
    for seed, (inputs, outputs) in enumerate(edges(token)):
        act = ACTIVATIONS[seed % 3]
        yield of_stream(layer(token, inputs, outputs, seed, samples.FILLS[seed % 4], act))
        for again in (50, 100, 150):
            one = layer(token, inputs, outputs, seed + again, "random", "none")
            yield of_stream(aimed(one, seed + again, "relu6" if again > 100 else "none"))
    for x_fill in ("low", "high"):
        for w_fill in ("low", "high", "ends"):
            yield of_stream(layer(token, 1100, 9, 7, x_fill, "none", w_fill))
    one = layer(token, *edges(token)[3], 11, "random", "none")  # bounds that leave out one value
    yield of_stream(aimed(replace(one, q_out=Quant(one.q_out.scale, -127)), 11, "relu"))
    yield of_stream(with_bounds(layer(token, 41, 16, 0, "random", "none"), (-127, 127)))
    if not token.endswith("v6m") and token != "t5":  # whole bounds are the saturation's own
        whole = of_stream(with_bounds(layer(token, 41, 16, 3, "random", "none"), (-128, 127)))
        less = of_stream(with_bounds(layer(token, 41, 16, 3, "random", "none"), (-128, 100)))
        yield replace(whole, slower=less)
    if token == "s16":
        yield of_stream(ties_of_long_sums())
        for zero_point in (-128, 127):
            for act in ACTIVATIONS:
                yield of_stream(sums_at_their_ends(zero_point, act))


# they take left shifts
def with_bounds(one: Layer, bounds: tuple[int, int]) -> Layer:
    """The layer, its output held inside other bounds."""
    return replace(one, bounds=bounds, wanted=np.clip(one.wanted, *bounds))


LEFT = ("t5", "t2", "t2_whole", "s2", "b1", *(token for token in STREAMS if token.endswith("_v6m")))


def aimed(one: Layer, seed: int, act: str) -> Layer:
    """The layer requantised so that every product shows."""
    sums = (one.x[0].astype(np.int64) - one.q_in.zero_point) @ one.weight.T.astype(np.int64)
    rng = np.random.default_rng(seed)
    r = samples.aimed(rng, sums, one.q_out.zero_point, left=one.token in LEFT)
    return with_answer(one.token, one.x, one.weight, one.q_in, one.q_out, r, act)


def edges(token: str) -> tuple[tuple[int, int], ...]:
    """(inputs, outputs) around the steps of a kernel's loops."""
    if token.endswith("v6m"):
        return CHUNKS
    if token.endswith("_whole"):
        return WHOLE[token]
    return {"t5": TABLES, "t2": NARROW, "s2": NARROW, "b1": NARROW}.get(token, WIDE)


def far_beyond_int8(token: str, act: str) -> Layer:
    """Sums of some 2^30 and more, both ways, that no shift takes back: saturated."""
    bias = np.array([1, -1, 1, -1]) * (2**30 + 2**29)
    factor = np.array([2**31 - 1, 2**31 - 1, 2**30, 2**30])
    r = samples.Requantization(bias.astype(np.int32), factor.astype(np.int32), np.zeros(4, int))
    weight, x = np.ones((4, 8), np.int8), np.ones((1, 8), np.int8)
    return with_answer(token, x, weight, Quant((0.1,), 0), Quant((0.1,), -3), r, act)


def near_ties(token: str) -> Layer:
    """Scaled sums around the middle between two outputs, which a unit more or less rounds apart."""
    rng = np.random.default_rng(5)
    right, off = np.repeat(np.arange(8, 20), 4), np.tile([-2, -1, 0, 1], 12)
    scaled = rng.integers(-100, 100, 48) * 2**right + 2 ** (right - 1) + off
    factor = rng.integers(2**30, 2**31, 48)
    bias = np.rint(scaled * 2.0**31 / factor).astype(np.int64)
    r = samples.Requantization(bias.astype(np.int32), factor.astype(np.int32), -right)
    weight, x = np.zeros((48, 8), np.int8), np.ones((1, 8), np.int8)
    if token.startswith(("s2", "b1")):  # which have no zero
        weight[:, ::2], weight[:, 1::2] = 1, -1
    return with_answer(token, x, weight, Quant((0.1,), 0), Quant((0.1,), -3), r, "none")


def sums_at_their_ends(zero_point: int, act: str) -> Layer:
    """16-bit weights: accumulators of 2^31 - 2^8 - 1 and its negative, divided by every power."""
    shift = -np.repeat(np.arange(1, 32), 2)
    sign = np.where(np.arange(62) % 2 == 0, 1, -1)
    weight = np.repeat(sign[:, None] * 257, 13, axis=1).astype(np.int16)
    most = row_groups.S16.reach - 1
    bias = sign * (most - 255 * 257 * 13)
    multiplier = np.where(np.arange(62) % 4 < 2, 2**31 - 1, 2**30)
    r = samples.Requantization(bias.astype(np.int32), multiplier.astype(np.int32), shift)
    x = np.full((1, 13), 127, np.int8)
    return with_answer("s16", x, weight, Quant((0.1,), -128), Quant((0.1,), zero_point), r, act)


def ties_of_long_sums() -> Layer:
    """16-bit weights: products of 2^30 and more whose rounding is a tie, of both signs, each at an
    even and at an odd output.
    """
    power = np.repeat(np.arange(23, 30), 8)
    least, most = 2 ** (30 - power) + 1, 2 ** (31 - power) - 1
    odd = np.where(np.arange(len(power)) // 2 % 2, least, most)
    bias = np.where(np.arange(len(power)) // 4 % 2, 1, -1) * odd * 2**power
    multiplier = np.full(len(power), 2**31 - 1, np.int32)  # the product is the bias, a step inward
    r = samples.Requantization(bias.astype(np.int32), multiplier, -1 - power.astype(np.int32))
    x, weight = np.full((1, 3), 5, np.int8), np.zeros((len(power), 3), np.int16)
    return with_answer("s16", x, weight, Quant((0.1,), 5), Quant((0.1,), 0), r, "none")
