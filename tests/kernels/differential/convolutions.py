"""Conv2D and DepthwiseConv2D: cases for the plain kernels and for those of DSP cores."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.kernels import PACKINGS, Kernel, kernel_named, select, weight_rows
from edgeq.kernels.streams import convolutions as streams
from edgeq.kernels.streams import lines, patch_pairs
from edgeq.kernels.streams.stream import Stream
from edgeq.ops import OPS
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.op import Io, activation_bounds
from edgeq.ops.window import output_size
from tests.kernels import samples
from tests.kernels.differential.case import Call, Case, Const, Out, Pointer, Scratch, Struct
from tests.kernels.dsp.layers import ACTIVATIONS, right_shifts

Shape = tuple[int, ...]


def pair_scratch(token: str) -> Callable[..., int]:
    """Of two patches, whatever the map."""
    return lambda weight_shape, *_map: patch_pairs.scratch_bytes(token, weight_shape)


def line_scratch(
    weight: Shape, _given: Shape, made: Shape, _padding: Shape, stride: tuple[int, int]
) -> int:
    """Of a line of outputs and the lines of the map that it needs."""
    return lines.scratch_bytes(weight, made, stride)


STREAMS: dict[str, tuple[Stream, Callable[..., int]]] = {
    "conv_2d_s8_s8": (streams.CONV_S8, streams.scratch_bytes_conv_s8),
    "conv_2d_s8_s4": (streams.CONV_S4, streams.scratch_bytes_conv_s4),
    "conv_2d_s8_t2": (streams.CONV_T2, streams.scratch_bytes_conv_t2),
    "depthwise_conv_2d_s8_s8": (streams.DEPTHWISE_S8, streams.scratch_bytes_depthwise_s8),
    "depthwise_conv_2d_s8_s4": (streams.DEPTHWISE_S4, streams.scratch_bytes_depthwise_s4),
    **{
        f"conv_2d_s8_{token}_v6m": (stream, pair_scratch(token))
        for token, stream in patch_pairs.STREAMS.items()
    },
    **{
        f"depthwise_conv_2d_s8_{token}_v6m": (stream, line_scratch)
        for token, stream in lines.STREAMS.items()
    },
}
V6M = tuple(name for name in STREAMS if name.endswith("_v6m"))
CONVOLUTIONS = tuple(name for name in STREAMS if name.startswith("conv"))
TO_WORDS = 15  # bytes that fill scratch to a multiple of sixteen
DEPTHWISE = tuple(name for name in STREAMS if name not in CONVOLUTIONS)


def token_of(name: str) -> str:
    """The weight format of a row of STREAMS."""
    return name.removesuffix("_v6m")[-2:]


def function_of(name: str) -> str:
    """The kernel of a row of STREAMS."""
    return f"edgeq_{name}" if name in V6M else f"edgeq_{name}_dsp"


@dataclass(frozen=True)
class Geometry:
    size: tuple[int, int]
    channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    outputs: int = 1

    @property
    def out(self) -> tuple[int, int]:
        return output_size(self.size, self.kernel, self.stride, self.padding)

    @property
    def window(self) -> Struct:
        """edgeq_window"""
        return Struct((
            *self.size, self.channels, *self.out, *self.kernel, *self.stride, *self.padding[:2]
        ))  # fmt: skip


SHAPES = (
    Geometry((1, 1), 1, (1, 1), (1, 1), (0, 0, 0, 0), 1),
    Geometry((5, 3), 8, (1, 1), (1, 1), (0, 0, 0, 0), 12),
    Geometry((5, 4), 7, (3, 3), (1, 1), (1, 1, 1, 1), 5),
    Geometry((4, 6), 12, (3, 3), (1, 1), (1, 1, 1, 1), 8),
    Geometry((6, 6), 16, (3, 3), (2, 2), (0, 0, 1, 1), 4),
    Geometry((9, 1), 8, (3, 1), (2, 1), (1, 0, 0, 0), 9),
    Geometry((9, 10), 1, (10, 4), (2, 2), (4, 1, 5, 1), 8),
    Geometry((3, 2), 4, (1, 1), (1, 1), (2, 2, 2, 2), 6),
    Geometry((11, 40), 5, (3, 3), (1, 1), (1, 1, 1, 1), 1),  # several strips of bands
    Geometry((2, 2), 260, (2, 2), (1, 1), (1, 1, 1, 1), 3),
    Geometry((9, 7), 8, (3, 3), (2, 2), (1, 1, 1, 1), 3),
    Geometry((8, 13), 6, (3, 3), (2, 1), (1, 0, 1, 2), 2),  # strides that differ
    Geometry((5, 20), 4, (3, 3), (1, 2), (0, 1, 0, 1), 2),
    Geometry((37, 4), 4, (3, 3), (1, 1), (1, 1, 1, 1), 2),  # several strips down
    Geometry((3, 2), 4, (1, 1), (1, 1), (1, 0, 1, 0), 5),  # padded on one axis only
    Geometry((2, 3), 8, (1, 1), (1, 1), (0, 1, 0, 1), 3),
)
CONV_SHAPES = (
    Geometry((7, 7), 4, (3, 3), (1, 1), (1, 1, 1, 1), 7),  # halves that begin inside a row
    Geometry((1, 3), 1100, (1, 1), (1, 1), (0, 0, 0, 0), 5),  # sums split, a block in part
    Geometry((9, 9), 4, (1, 1), (2, 2), (0, 0, 0, 0), 4),  # columns left out
    Geometry((9, 8), 8, (3, 1), (2, 3), (1, 0, 1, 0), 5),  # and rows outside
    Geometry((3, 8), 4, (1, 1), (1, 2), (1, 0, 0, 2), 4),  # columns outside, none left out
    Geometry((6, 16), 3, (3, 3), (1, 1), (1, 1, 1, 1), 8),  # rows filled to groups
    Geometry((6, 31), 20, (3, 2), (1, 2), (1, 1, 1, 0), 3),
    Geometry((2, 40), 16, (3, 3), (1, 1), (1, 1, 1, 1), 4),  # several strips
)
DEPTHWISE_SHAPES = (
    Geometry((3, 4), 4, (3, 3), (1, 1), (1, 1, 1, 17)),  # strips right of the map
    Geometry((25, 19), 5, (4, 5), (1, 1), (0, 0, 0, 0)),  # any window, the map in several parts
    Geometry((4, 23), 4, (2, 1), (3, 1), (0, 0, 0, 0)),  # single columns, the map at once
    Geometry((20, 16), 4, (4, 4), (1, 1), (0, 0, 0, 0)),  # a part of the map fills its room
    Geometry((4, 24), 8, (3, 3), (1, 1), (1, 1, 1, 1)),  # a strip without a cell to fill
    Geometry((1, 4), 4, (3, 3), (1, 1), (2, 1, 2, 1)),  # a lower edge alone
)
LONG = (  # kernels of several threes, on either axis; jumps
    Geometry((1, 20), 5, (1, 10), (1, 1), (0, 0, 0, 0)),
    Geometry((23, 2), 9, (5, 2), (1, 1), (2, 0, 1, 1)),
    Geometry((9, 11), 4, (5, 5), (3, 2), (2, 2, 2, 2)),
    Geometry((4, 16), 8, (2, 3), (3, 1), (0, 1, 0, 1)),  # lines that no output needs
)
BLOCKS = (  # channels around a block, of an odd pixel too
    Geometry((1, 3), 4, (1, 1), (1, 1), (0, 0, 0, 0), 16),
    Geometry((1, 3), 5, (1, 1), (1, 1), (0, 0, 0, 0), 33),
)
SMALL = (
    Geometry((1, 1), 1, (1, 1), (1, 1), (0, 0, 0, 0), 1),
    Geometry((5, 4), 7, (1, 1), (2, 3), (0, 0, 0, 0), 3),  # patches in place
    Geometry((4, 5), 3, (3, 2), (1, 1), (2, 1, 0, 1), 4),  # sides that differ
    Geometry((6, 3), 5, (2, 3), (2, 1), (0, 2, 1, 0), 2),
    Geometry((2, 3), 11, (3, 4), (1, 2), (1, 2, 2, 1), 5),  # reached by padding only
    Geometry((3, 2), 4, (1, 1), (1, 1), (2, 2, 2, 2), 3),  # windows wholly outside
    Geometry((3, 2), 4, (1, 1), (1, 1), (0, 0, 2, 2), 3),
    Geometry((3, 3), 9, (2, 2), (3, 3), (1, 1, 1, 1), 2),
    Geometry((3, 2), 4, (1, 1), (1, 1), (0, 0, 1, 0), 3),  # only the last ones are outside
    Geometry((3, 2), 4, (1, 1), (1, 1), (0, 0, 0, 1), 3),
    Geometry((2, 3), 16, (2, 1), (1, 1), (0, 0, 0, 0), 3),  # rows of whole words
)


def shapes(name: str) -> tuple[Geometry, ...]:
    if name in CONVOLUTIONS:
        return SHAPES + CONV_SHAPES + (BLOCKS if name in V6M else ())
    return SHAPES + (LONG if name in V6M else DEPTHWISE_SHAPES)


def _axes(depthwise: bool) -> tuple[int, ...]:
    return (0, 1) if depthwise else (1, 2, 3)


@dataclass(frozen=True)
class Layer:
    """One convolution with its input, and what the kernel must answer."""

    op: str
    token: str
    g: Geometry
    act: str
    x: samples.Array
    weight: samples.Array
    q_in: Quant
    q_out: Quant
    r: samples.Requantization

    @property
    def sums(self) -> samples.Array:
        """Accumulators without bias, of another pixel in each channel."""
        top, left, bottom, right = self.g.padding
        x = self.x[0].astype(np.int64) - self.q_in.zero_point
        x = np.pad(x, ((top, bottom), (left, right), (0, 0)))
        weight, (height, width) = self.weight.astype(np.int64), self.g.out
        depthwise, found = self.op == "DepthwiseConv2D", []
        for c in range(weight.shape[-1] if depthwise else weight.shape[0]):
            row, column = (7 * c // width) % height, 7 * c % width
            y0, x0 = row * self.g.stride[0], column * self.g.stride[1]
            patch = x[y0 : y0 + self.g.kernel[0], x0 : x0 + self.g.kernel[1]]
            one = patch[:, :, c] * weight[:, :, c] if depthwise else patch * weight[c]
            found.append(one.sum())
        return np.array(found)

    def aimed(self, seed: int, left: bool) -> "Layer":
        """Requantised so that every product of those pixels shows."""
        rng = np.random.default_rng(seed)
        return replace(self, r=samples.aimed(rng, self.sums, self.q_out.zero_point, left))

    @property
    def wanted(self) -> samples.Array:
        g, depthwise = self.g, self.op == "DepthwiseConv2D"
        outputs = g.channels if depthwise else g.outputs
        made = TensorType((*g.out, outputs), "int8", self.q_out)
        io = Io((TensorType(self.x.shape[1:], "int8", self.q_in),), made)
        r = self.r
        constants = {
            "weight": self.weight, "bias": r.bias, "multiplier": r.multiplier, "shift": r.shift
        }  # fmt: skip
        attrs = (DepthwiseConv2D if depthwise else Conv2D)(
            g.stride, g.padding, self.token, self.act
        )
        return OPS[self.op].reference(attrs, io, (self.x,), constants)[0]

    def call(self, name: str, words: samples.Array, bias: samples.Array, *more: Scratch) -> Case:
        """The kernel `name` on it."""
        wanted = self.wanted
        pointers = (words, bias.astype(np.int32), self.r.multiplier.astype(np.int32))
        given = Struct((
            *(Const(p) for p in pointers),
            Const(self.r.shift.astype(np.int8)),
            self.g.window,
            wanted.shape[-1],
            self.q_in.zero_point,
            self.q_out.zero_point,
            *activation_bounds(self.act, self.q_out),
        ))  # fmt: skip
        call = Call(name, (Pointer((given,)), Const(self.x), Out(wanted), *more))
        return Case(f"{name} {self.g}, {self.act}", (call,))


def layer(op: str, token: str, g: Geometry, seed: int, fill: str, act: str, plain: bool) -> Layer:
    """plain: weights filled as x, requantisation with left shifts too."""
    rng = np.random.default_rng(seed)
    depthwise = op == "DepthwiseConv2D"
    x = samples.activations(rng, fill, (1, *g.size, g.channels))
    shape = (*g.kernel, g.channels) if depthwise else (g.outputs, *g.kernel, g.channels)
    w_fill = fill if plain else str(rng.choice([fill, *samples.FILLS]))
    weight = samples.weights(rng, w_fill, shape, token)
    q_in, q_out = samples.quant(rng), samples.quant(rng)
    sums = np.abs(weight.astype(np.int64)).sum(_axes(depthwise))
    if plain:
        r = samples.requantization(rng, sums, q_in.zero_point)
    else:
        r = right_shifts(rng, sums * 255)
        r.multiplier[rng.random(r.multiplier.shape) < 0.1] = 2**30  # -1 times it is rounded to 0
    return Layer(op, token, g, act, x, weight, q_in, q_out, r)


def plain(
    op: str, token: str, g: Geometry, seed: int, fill: str, act: str, aim: bool = False
) -> Case:
    one = layer(op, token, g, seed, fill, act, plain=True)
    if aim:
        one = one.aimed(seed, left=True)
    kernel = select(op, token)
    return packed_case(kernel, one)


def packed_case(kernel: Kernel, one: Layer) -> Case:
    """A kernel that reads the rows of its format."""
    op, token = one.op, one.token
    packed = np.frombuffer(PACKINGS[token].pack(weight_rows(op, one.weight)), np.uint8)
    scratch = (Scratch(scratch_bytes(kernel, one)),) if kernel.takes_scratch else ()
    return one.call(kernel.name, packed, one.r.bias, *scratch)


def scratch_bytes(kernel: Kernel, one: Layer) -> int:
    """What the kernel's row asks for."""
    attrs = (DepthwiseConv2D if one.op == "DepthwiseConv2D" else Conv2D)(
        one.g.stride, one.g.padding, one.token, one.act
    )
    node = Node("conv", one.op, ("x",), ("y",), attrs, {"weight": "w"})
    types = {"w": TensorType(one.weight.shape, "int8")}
    return kernel.scratch(Graph("g", ("x",), ("y",), (node,), types, {}), node)


def plain_cases(op: str, token: str) -> Iterator[Case]:
    for seed, g in enumerate(SMALL):
        for i, fill in enumerate(samples.FILLS):
            yield plain(op, token, g, 8 * seed + i, fill, ACTIVATIONS[(seed + i) % 3])
            yield plain(op, token, g, 8 * seed + i, fill, "none", aim=True)


FRAMES = tuple(  # one window, the whole map; channels in blocks of four, and beside them
    Geometry(size, channels, size, stride, (0, 0, 0, 0))
    for size, channels, stride in (
        ((1, 1), 4, (1, 1)),
        ((1, 3), 40, (1, 1)),
        ((5, 1), 7, (2, 1)),
        ((3, 4), 9, (1, 3)),
        ((1, 15), 11, (1, 1)),
    )
)


def frame_cases() -> Iterator[Case]:
    kernel = kernel_named("edgeq_depthwise_frame_s8_s8_dsp")
    for seed, g in enumerate(FRAMES):
        for i, fill in enumerate(samples.FILLS):
            act = ACTIVATIONS[(seed + i) % 3]
            one = layer("DepthwiseConv2D", "s8", g, 8 * seed + i, fill, act, plain=True)
            yield packed_case(kernel, one)
            yield packed_case(kernel, replace(one, act="none").aimed(seed, left=True))


def stream(
    name: str,
    g: Geometry,
    seed: int,
    fill: str,
    act: str,
    shift: samples.Array | None = None,
    aim: bool = False,
    zero_point: int | None = None,
    scale: float | None = None,
    left: bool = False,
) -> Case:
    """A random layer for the kernel of a row of STREAMS; shift: one a channel.

    zero_point, scale: the output's, by default any. left: aimed with shifts to the left, too, and a
    channel whose shift is the least.
    """
    op = "DepthwiseConv2D" if name.startswith("depthwise") else "Conv2D"
    one = layer(op, token_of(name), g, seed, fill, act, plain=name in V6M and shift is None)
    if zero_point is not None:
        scales = one.q_out.scale if scale is None else (scale,)
        one = replace(one, q_out=Quant(scales, zero_point))
    order, scratch = STREAMS[name]
    np.maximum(one.r.shift, order.least_shift, out=one.r.shift)
    one.r.shift[:] = one.r.shift if shift is None else shift
    if aim:
        one = one.aimed(seed, left=left)
    if left and name not in V6M:
        one.r.shift[seed % len(one.r.shift)] = order.least_shift
    sums = one.weight.astype(np.int64).sum(_axes(op == "DepthwiseConv2D"))
    bias = order.bias(sums, one.r.bias, one.q_in.zero_point)
    words = order.pack(one.weight)
    if order.join is not None:
        words = order.join(words, bias, one.r.multiplier, one.r.shift)
    spare = spare_of(name, g)
    size = scratch(one.weight.shape, one.x.shape[1:], one.wanted.shape, g.padding, g.stride)
    return one.call(function_of(name), words.astype(np.uint32), bias, Scratch(size, spare))


def spare_of(name: str, g: Geometry) -> int | None:
    """Bytes of scratch that may stay as they were; None: depthwise strips take the most of two,
    those of ARMv6-M have room for four channels."""
    if name in V6M:
        return 0 if name in CONVOLUTIONS else None
    if name in CONVOLUTIONS:
        return streams.BEHIND
    strips = g.kernel == (3, 3) and max(g.stride) <= 2 and g.channels >= streams.ROWS
    return None if strips else TO_WORDS


def every_shift(name: str, kernel: tuple[int, int]) -> list[Case]:
    """A channel for each, beside others to the left and by itself; a word holds 2^(32 - shift) + 1,
    its leading zeros the shift."""
    g = Geometry((5, 6), 35, kernel, (1, 1), (0, 0, 0, 0), 35)
    shift = 3 - np.arange(35, dtype=np.int32)
    return [stream(name, g, seed, "ends", "none", shift) for seed in range(2)]


def stream_cases(name: str) -> Iterator[Case]:
    for seed, g in enumerate(shapes(name)):
        for i, fill in enumerate(("random", "ends")):
            yield stream(name, g, seed, fill, ACTIVATIONS[i * (seed % 3)])
        for again in (50, 100):
            yield stream(name, g, seed + again, "random", "none", aim=True)
        if STREAMS[name][0].most_shift > -1 or name in V6M:
            for again in (150, 200, 250):
                yield stream(name, g, seed + again, "random", "none", aim=True, left=True)
        # bounds that leave out one value at an end
        yield stream(name, g, seed, "random", "relu", aim=True, zero_point=-127)
        yield stream(name, g, seed, "random", "relu6", aim=True, zero_point=-100, scale=0.05)
        yield stream(name, g, seed, "ends", "relu6", zero_point=-128, scale=6 / 254)
    if name in DEPTHWISE:
        for kernel in ((3, 3), (2, 5)):
            yield from every_shift(name, kernel)
    else:
        if not name.endswith("v6m"):  # whole bounds are the saturation's own
            less = stream(name, SHAPES[3], 1, "random", "relu", zero_point=-100)
            yield replace(stream(name, SHAPES[3], 1, "random", "none"), slower=less)
        for seed, columns in enumerate((256, 260, 512, 516, 1016)):
            g = Geometry((1, 2), columns, (1, 1), (1, 1), (0, 0, 0, 0), 4)
            for fill in ("low", "high"):
                yield stream(name, g, seed, fill, "none")
