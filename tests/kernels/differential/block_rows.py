"""BlockFullyConnected: cases for the plain kernels and for those that read streams of weights."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edgeq.ir import TensorType
from edgeq.kernels import PACKINGS
from edgeq.kernels.streams import block_cells, block_rows
from edgeq.kernels.streams.stream import Stream
from edgeq.ops.block_fully_connected import OP, BlockFullyConnected, times_blocks
from edgeq.ops.op import Io, activation_bounds
from tests.kernels import samples
from tests.kernels.differential.case import Call, Case, Const, Out, Pointer, Scratch, Struct
from tests.kernels.differential.fully_connected import params
from tests.kernels.dsp.layers import ACTIVATIONS, right_shifts

NAME = "edgeq_block_fully_connected_s8_"
PLAIN, ROWS, CELLS = "", "_dsp", "_cells_dsp"  # what a kernel's name ends in
STREAMS = {
    ("s4", ROWS): block_rows.S4,
    ("t2", ROWS): block_rows.T2,
    ("s4", CELLS): block_cells.S4,
    ("t2", CELLS): block_cells.T2,
}
# (inputs, outputs, inputs of a block, cells): around groups, blocks of 48 rows, blocks, turns
SHAPES = (
    (1, 1, 32, 1),
    (31, 8, 32, 2),
    (33, 9, 32, 1),
    (64, 7, 64, 3),
    (65, 16, 64, 1),
    (96, 48, 64, 1),
    (128, 49, 128, 2),
    (129, 12, 128, 1),
    (200, 3, 128, 1),
    (300, 17, 64, 1),
)
# around fours of rows, pairs of cells, groups of columns, blocks, turns, strips
CELL_SHAPES = (
    (4, 1, 32, 2),
    (8, 4, 32, 3),
    (36, 5, 32, 4),
    (64, 7, 64, 33),
    (68, 8, 64, 3),
    (96, 12, 64, 21),
    (128, 9, 128, 2),
    (132, 2, 128, 5),
    (116, 3, 64, 9),  # four pairs fill their room
    (300, 6, 64, 3),
    (520, 3, 32, 2),
)


def case(
    token: str,
    shape: tuple[int, int, int, int],
    seed: int,
    fills: tuple[str, str],
    act: str,
    *,
    form: str,
    aim: bool = False,
    left: bool = False,
    most: int = 127,
) -> Case:
    """fills: activations', weights'; aim, left: samples.aimed; most: of outputs, without act."""
    inputs, outputs, block, cells = shape
    rng = np.random.default_rng(seed)
    x = samples.activations(rng, fills[0], (1, cells, inputs))
    weight = samples.weights(rng, fills[1], (outputs, inputs), token)
    scale = rng.integers(1, 256, (outputs, -(-inputs // block)), dtype=np.uint8)
    scale[rng.random(scale.shape) < 0.2] = 255
    counted = times_blocks(weight, scale, block)
    stream = STREAMS.get((token, form))
    q_in, q_out = samples.quant(rng), samples.quant(rng)
    r = right_shifts(rng, np.abs(counted).sum(1) * 255)
    np.maximum(r.shift, -31 if stream is None else stream.least_shift, out=r.shift)
    if aim:
        sums = (x[0].astype(np.int64) - q_in.zero_point) @ counted.T
        of_some = sums[7 * np.arange(outputs) % cells, np.arange(outputs)]
        r = samples.aimed(rng, of_some, q_out.zero_point, left=left)
    io = Io(
        (TensorType((cells, inputs), "int8", q_in),), TensorType((cells, outputs), "int8", q_out)
    )
    held = {"weight": weight, "bias": r.bias, "multiplier": r.multiplier, "shift": r.shift}
    attrs = BlockFullyConnected(token, block, act)
    wanted = OP.reference(attrs, io, (x,), {**held, "block_scale": scale})[0].reshape(-1)
    low, high = activation_bounds(act, q_out)
    wanted, high = np.minimum(wanted, most), min(high, most)
    numbers = (inputs, outputs, q_in.zero_point, q_out.zero_point, low, high)
    name = NAME + token + form
    label = f"{name} {inputs}x{outputs}/{block}, {cells} cells, {fills}, {act}, seed {seed}"
    if stream is None:
        packed = np.frombuffer(PACKINGS[token].pack(weight), np.uint8)
        layer = params(packed, r, r.bias, numbers)
        given = Pointer((Struct((layer, Const(scale), block, cells)),))
        return Case(label, (Call(name, (given, Const(x[0]), Out(wanted))),))
    bias = stream.bias(counted.sum(1), r.bias, q_in.zero_point)
    words = packed_by(stream, weight, scale, block, bias, r)
    layer = params(words, replace(r, shift=stream.shifts(r.shift)), bias, numbers)
    given = Pointer((Struct((layer, None, block, cells)),))
    more = Out(wanted, off=1), scratch_of(token, form, inputs, block, cells)
    return Case(label, (Call(name, (given, Const(x[0], off=1), *more)),))


def packed_by(
    stream: Stream,
    weight: samples.Array,
    scale: samples.Array,
    block: int,
    bias: samples.Array,
    r: samples.Requantization,
) -> samples.Array:
    """The stream, with the parameters where they stand in it."""
    words = stream.pack(weight, scale, block)
    return words if stream.join is None else stream.join(words, bias, r.multiplier, r.shift)


def scratch_of(token: str, form: str, inputs: int, block: int, cells: int) -> Scratch:
    if form == CELLS:
        return Scratch(block_cells.SCRATCH[token](inputs, block, cells), spare=0)
    return Scratch(block_rows.SCRATCH[token](inputs, block), spare=3)


def cases(token: str, form: str) -> Iterator[Case]:
    """Around every step of the kernel's loops, and its lanes at their extremes."""
    for seed, shape in enumerate(CELL_SHAPES if form == CELLS else SHAPES):
        act, fill = ACTIVATIONS[seed % 3], samples.FILLS[seed % 4]
        yield case(token, shape, seed, (fill, "random"), act, form=form)
        for again in (50, 100):
            yield case(token, shape, seed + again, ("random",) * 2, act, form=form, aim=True)
        if form == CELLS:
            yield case(
                token, shape, seed + 150, ("random",) * 2, "none", form=form, aim=True, left=True
            )
    if form != PLAIN:  # whole bounds are the saturation's own
        whole, less = (
            case(
                token,
                (40, 16, 32, 2 if form == CELLS else 1),
                3,
                ("random",) * 2,
                "none",
                form=form,
                aim=True,
                most=most,
            )
            for most in (127, 100)
        )
        yield replace(whole, slower=less)
    for x_fill in ("low", "high"):
        for w_fill in ("low", "high", "ends"):
            for block in (32, 64, 128):
                shape = (260, 9, block, 2 if form == CELLS else 1)
                yield case(token, shape, block, (x_fill, w_fill), "none", form=form, aim=True)
