"""Pools, Add, Relu, LayerNorm, Softmax, Confidence and Gate."""

from collections.abc import Iterator

import numpy as np

from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ops import OPS, add, layer_norm, mean_pool_2d
from edgeq.ops.average_pool_2d import AveragePool2D
from edgeq.ops.fixed_point import exp_table, quantize_multipliers, requantize, softmax_q15
from edgeq.ops.gemmlowp import MOST_CLASSES, exp_q31_table
from edgeq.ops.max_pool_2d import MaxPool2D
from edgeq.ops.mean_pool_2d import MeanPool2D
from edgeq.ops.op import Io, Site, activation_bounds, quant_of
from edgeq.ops.relu import Relu
from edgeq.ops.softmax import Softmax
from edgeq.ops.softmax_q31 import SoftmaxQ31
from tests.kernels import samples
from tests.kernels.differential.case import Call, Case, Const, Long, Out, Pointer, Struct
from tests.kernels.differential.convolutions import SMALL, Geometry
from tests.kernels.dsp.layers import ACTIVATIONS

FILLS = samples.FILLS
SMALL_IO = Io((), TensorType((1,), "int8"))  # a look-up asks nothing of its types


def max_pool(g: Geometry, seed: int, fill: str) -> Case:
    """fill "near": values that differ by one."""
    rng = np.random.default_rng(seed)
    x = samples.activations(rng, "random" if fill == "near" else fill, (1, *g.size, g.channels))
    if fill == "near":
        x = (int(rng.integers(-128, 127)) + x % 2).astype(np.int8)
    t = TensorType(x.shape[1:], "int8", samples.quant(rng))
    attrs = MaxPool2D(g.kernel, g.stride, g.padding)
    wanted = OPS["MaxPool2D"].reference(attrs, Io((t,), t), (x,), {})[0]
    name = "edgeq_max_pool_2d_s8"
    return Case(f"{name} {g}", (Call(name, (Pointer((g.window,)), Const(x), Out(wanted))),))


def average_pool(g: Geometry, seed: int, fill: str, name: str = "edgeq_average_pool_2d_s8") -> Case:
    """Without padding."""
    rng = np.random.default_rng(seed)
    x = samples.activations(rng, fill, (1, *g.size, g.channels))
    q_in, q_out = samples.quant(rng), samples.quant(rng)
    if name.endswith("_dsp"):  # such as take scales below a half
        q_in = samples.quant(rng, q_out.per_tensor * float(rng.uniform(0.02, 0.49)))
    real = q_in.per_tensor / (q_out.per_tensor * g.kernel[0] * g.kernel[1])
    multiplier, shift = quantize_multipliers([real])
    zeros = (q_in.zero_point, q_out.zero_point)
    made = TensorType((*g.out, g.channels), "int8", q_out)
    io = Io((TensorType(x.shape[1:], "int8", q_in),), made)
    constants = {"multiplier": multiplier, "shift": shift}
    attrs = AveragePool2D(g.kernel, g.stride)
    wanted = OPS["AveragePool2D"].reference(attrs, io, (x,), constants)[0]
    given = Struct((g.window, *zeros, int(multiplier[0]), int(shift[0])))
    return Case(f"{name} {g}", (Call(name, (Pointer((given,)), Const(x), Out(wanted))),))


def mean_pool(g: Geometry, seed: int, fill: str, act: str) -> Case | None:
    """None where a window would lie in padding only."""
    rng = np.random.default_rng(seed)
    x = samples.activations(rng, fill, (1, *g.size, g.channels))
    attrs = MeanPool2D(g.kernel, g.stride, g.padding, act)
    t = TensorType(x.shape[1:], "int8", samples.quant(rng))
    try:
        shape = OPS["MeanPool2D"].result_shape(attrs, (t.shape,), {})
    except ValueError:
        return None
    made = TensorType(shape, "int8", t.quant)
    node = Node("pool", "MeanPool2D", ("x",), ("y",), attrs)
    site = Site(Graph("g", ("x",), ("y",), (node,), {"x": t, "y": made}, {}), node)
    table = OPS["MeanPool2D"].lower(site).values
    down, across = mean_pool_2d.counts(attrs, g.size, shape)
    least, columns = (int(down.min()), int(across.min())), int(across.max() - across.min() + 1)
    bounds = activation_bounds(act, quant_of(t))
    wanted = OPS["MeanPool2D"].reference(attrs, Io((t,), made), (x,), table)[0]
    given = Struct((Const(table["reciprocal"]), g.window, *least, columns, *bounds))
    name = "edgeq_mean_pool_2d_s8"
    label = f"{name} {g}, {fill}, {act}"
    return Case(label, (Call(name, (Pointer((given,)), Const(x), Out(wanted))),))


def addition(
    size: int,
    seed: int,
    fill: str,
    act: str,
    name: str = "edgeq_add_s8",
    alike: bool = False,
    factors: tuple[samples.Array, samples.Array] | None = None,
    zero_point: int | None = None,
) -> Case:
    """The result is written over the first input. alike: both inputs have one scale.

    factors: (multiplier, shift) that no scales need give, with zero points of 0. zero_point: the
    output's, by default any.
    """
    rng = np.random.default_rng(seed)
    a, b = (samples.activations(rng, fill, (1, size)) for _ in range(2))
    quants = [samples.quant(rng) for _ in range(3)]
    quants[1] = samples.quant(rng, quants[0].per_tensor) if alike else quants[1]
    quants = [Quant(q.scale, 0) for q in quants] if factors else quants
    if zero_point is not None:
        quants[2] = Quant(quants[2].scale, zero_point)
    scales = [q.per_tensor for q in quants]
    twice = 2 * max(scales[:2])
    multiplier, shift = quantize_multipliers(
        [scales[0] / twice, scales[1] / twice, twice / (2**add.LEFT_SHIFT * scales[2])]
    )
    multiplier, shift = factors or (multiplier, shift)
    types = [TensorType((size,), "int8", q) for q in quants]
    constants = {"multiplier": multiplier, "shift": shift}
    io = Io(tuple(types[:2]), types[2])
    wanted = OPS["Add"].reference(add.Add(act), io, (a, b), constants)
    zeros = (q.zero_point for q in quants)
    bounds = activation_bounds(act, quants[2])
    given = Struct((size, *zeros, *multiplier.tolist(), *shift.tolist(), *bounds))
    y = Out(wanted, initial=a)
    label = f"{name} {size}, {fill}, {act}, seed {seed}"
    return Case(label, (Call(name, (Pointer((given,)), y, Const(b), y)),))


def rectifier(size: int, seed: int, fill: str, act: str) -> Case:
    """256 values: every one."""
    rng = np.random.default_rng(seed)
    x = samples.activations(rng, fill, (1, size))
    if size == 256:
        x = np.arange(-128, 128).astype(np.int8).reshape(1, size)
    q = samples.quant(rng)
    t = TensorType((size,), "int8", q)
    y = Out(OPS["Relu"].reference(Relu(act), Io((t,), t), (x,), {}), initial=x)
    given = Struct((size, *activation_bounds(act, q)))
    call = Call("edgeq_relu_s8", (Pointer((given,)), y, y))
    return Case(f"edgeq_relu_s8 {size}, {fill}, {act}, seed {seed}", (call,))


def looked_up(size: int, seed: int, fill: str) -> Case:
    """A table of its own, whatever the function; written over the input every second time."""
    rng = np.random.default_rng(seed)
    table = rng.permutation(np.arange(-128, 128)).astype(np.int8)
    x = samples.activations(rng, fill, (1, size))
    wanted = OPS["HardSwish"].reference(None, SMALL_IO, (x,), {"table": table})
    given = Pointer((Struct((Const(table), size)),))
    operands = [Const(x), Out(wanted)] if seed % 2 else [Out(wanted, initial=x)] * 2
    call = Call("edgeq_lookup_s8", (given, *operands))
    return Case(f"edgeq_lookup_s8 {size}, {fill}, seed {seed}", (call,))


def normalisation(rows: int, n: int, seed: int, fill: str, act: str) -> Case:
    rng = np.random.default_rng(seed)
    x = samples.activations(rng, fill, (1, rows, n))
    q_in, q_out = samples.quant(rng), samples.quant(rng)
    gamma = rng.normal(1, float(rng.choice([0.1, 3.0])), n)
    epsilon = float(rng.choice([1e-12, 1e-5, 1e-2]))
    constants = layer_norm.integer_params(
        gamma, rng.normal(0, 1, n), epsilon, q_in.per_tensor, q_out.per_tensor
    )
    types = [TensorType((rows, n), "int8", q) for q in (q_in, q_out)]
    attrs = layer_norm.LayerNorm(epsilon, act)
    io = Io((types[0],), types[1])
    wanted = OPS["LayerNorm"].reference(attrs, io, (x,), constants)
    given = Struct((
        Const(constants["gamma"].astype(np.int16)),
        Const(constants["beta"].astype(np.int32)),
        Long(int(constants["epsilon"][0])),
        rows,
        n,
        int(constants["shift"][0]),
        q_out.zero_point,
        *activation_bounds(act, q_out),
    ))  # fmt: skip
    y = Out(wanted, initial=x)
    label = f"edgeq_layer_norm_s8 {rows}x{n}, {fill}, {act}, seed {seed}"
    return Case(label, (Call("edgeq_layer_norm_s8", (Pointer((given,)), y, y)),))


def softmax(rows: int, classes: int, scale: float, seed: int, fill: str) -> Case:
    rng = np.random.default_rng(seed)
    x = samples.activations(rng, fill, (1, rows, classes))
    table = exp_table(scale)
    t = TensorType((rows, classes), "int8", samples.quant(rng))
    wanted = OPS["Softmax"].reference(Softmax(), Io((t,), t), (x,), {"exp_table": table})
    given = Struct((Const(table.astype(np.uint16)), rows, classes))
    y = Out(wanted, initial=x)
    label = f"edgeq_softmax_s8 {rows}x{classes}, scale {scale}, {fill}, seed {seed}"
    return Case(label, (Call("edgeq_softmax_s8", (Pointer((given,)), y, y)),))


def softmax_q31(rows: int, classes: int, scale: float, seed: int, fill: str) -> Case:
    x = samples.activations(np.random.default_rng(seed), fill, (1, rows, classes))
    table = exp_q31_table(scale)
    t = TensorType((rows, classes), "int8")
    wanted = OPS["SoftmaxQ31"].reference(SoftmaxQ31(), Io((t,), t), (x,), {"exp_q31": table})
    given = Struct((Const(table), rows, classes))
    y = Out(wanted, initial=x)
    label = f"edgeq_softmax_q31_s8 {rows}x{classes}, scale {scale}, {fill}, seed {seed}"
    return Case(label, (Call("edgeq_softmax_q31_s8", (Pointer((given,)), y, y)),))


def confidence(classes: int, scale: float, seed: int, fill: str) -> Case:
    x = samples.activations(np.random.default_rng(seed), fill, (classes,))
    table = exp_table(scale)
    name = "edgeq_confidence_s8"
    given = (Const(table.astype(np.uint16)), Const(x), classes)
    label = f"{name} {classes}, scale {scale}, {fill}, seed {seed}"
    return Case(label, (Call(name, given, int(softmax_q15(x, table).max())),))


def gate(size: int, experts: int, seed: int, fill: str) -> Case:
    """Start, a sum over all experts, the requantised sum."""
    rng = np.random.default_rng(seed)
    gates = softmax_q15(samples.activations(rng, fill, (experts,)), exp_table(0.05))
    y = samples.activations(rng, fill, (experts, size))
    q_in, q_out = samples.quant(rng), samples.quant(rng, 0.03)
    multiplier, shift = quantize_multipliers([q_in.per_tensor / (q_out.per_tensor * 2**15)])
    total = (gates[:, None] * (y.astype(np.int64) - q_in.zero_point)).sum(0)
    wanted = requantize(total, multiplier, shift, q_out.zero_point, -128, 127)
    numbers = (size, q_in.zero_point, q_out.zero_point, int(multiplier[0]), int(shift[0]))
    p, acc = Pointer((Struct(numbers),)), Out(total.astype(np.int32))
    sums = (
        Call("edgeq_gate_accumulate_s8", (p, int(gates[e]), Const(y[e]), acc))
        for e in range(experts)
    )
    end = Call("edgeq_gate_s8", (p, acc, Out(wanted.astype(np.int8))))
    label = f"edgeq_gate_s8 {size}, {experts} experts, {fill}, seed {seed}"
    return Case(label, (Call("edgeq_gate_start_s8", (p, acc)), *sums, end))


def max_pool_cases() -> Iterator[Case]:
    for seed, g in enumerate(SMALL):
        for i, fill in enumerate((*FILLS, "near", "near", "near")):
            yield max_pool(g, 8 * seed + i, fill)


def average_pool_cases() -> Iterator[Case]:
    for seed, g in enumerate(SMALL):
        size = (g.size[0] + g.kernel[0], g.size[1] + g.kernel[1])
        for i, fill in enumerate(FILLS):
            one = Geometry(size, g.channels, g.kernel, g.stride, (0, 0, 0, 0))
            yield average_pool(one, 8 * seed + i, fill)


def average_pool_dsp_cases() -> Iterator[Case]:
    """Channels of every remainder; windows with more cells than halves sum, or as wide as maps."""
    sizes = [((5, 4), (2, 3), (1, 1)), ((7, 3), (4, 3), (2, 1)), ((6, 5), (6, 5), (1, 1))]
    sizes += [
        ((19, 21), (18, 15), (1, 3)),
        ((3, 300), (2, 290), (1, 7)),
        ((40, 13), (40, 13), (1, 1)),
    ]
    for seed, (size, kernel, stride) in enumerate(sizes):
        for channels in (4, 5, 7, 12):
            one = Geometry(size, channels, kernel, stride, (0, 0, 0, 0))
            for i, fill in enumerate(FILLS):
                yield average_pool(one, 8 * seed + i, fill, "edgeq_average_pool_2d_s8_dsp")


def mean_pool_cases() -> Iterator[Case]:
    for seed, g in enumerate(SMALL):
        for i, fill in enumerate(FILLS):
            case = mean_pool(g, 8 * seed + i, fill, ACTIVATIONS[(seed + i) % 3])
            if case is not None:
                yield case


def add_cases() -> Iterator[Case]:
    for seed in range(24):
        yield addition(1 + 5 * seed % 41, seed, FILLS[seed % 4], ACTIVATIONS[seed % 3])
        yield addition(700, seed, "random", ACTIVATIONS[seed % 3])


def add_dsp_cases() -> Iterator[Case]:
    """Either input may have the larger scale, or neither."""
    name = "edgeq_add_s8_dsp"
    for seed in range(24):
        act, alike = ACTIVATIONS[seed % 3], seed % 5 == 4
        yield addition(1 + 5 * seed % 41, seed, FILLS[seed % 4], act, name, alike)
        yield addition(700, seed, "random", act, name, alike)
    yield addition(700, 1, "random", "relu", name, zero_point=-127)  # one value is left out
    yield from add_dsp_ties()


def add_dsp_ties() -> Iterator[Case]:
    """Second inputs that are 1 above their zero point bring the sum to a tie of the output, but for
    what rounding their product adds: its lowest bit shows.
    """
    shift = np.array([0, -1, -19])
    for seed, lacking in enumerate((2**10, 0)):
        multiplier = np.array([2**30, ((2**20 - 4) << 11) + lacking, 2**30])
        yield addition(700, seed, "random", "none", "edgeq_add_s8_dsp", factors=(multiplier, shift))


def relu_cases() -> Iterator[Case]:
    for seed in range(24):
        yield rectifier(1 + 5 * seed % 41, seed, FILLS[seed % 4], ACTIVATIONS[seed % 3])
        yield rectifier(256, seed, "random", ACTIVATIONS[seed % 3])


def lookup_cases() -> Iterator[Case]:
    for seed in range(24):
        yield looked_up(1 + 5 * seed % 41, seed, FILLS[seed % 4])


def layer_norm_cases() -> Iterator[Case]:
    widths = (1, 2, 3, 17, 80, 255, 1536)
    for seed in range(42):
        n = widths[seed % 7]
        yield normalisation(1 + seed % 3, n, seed, FILLS[seed % 4], ACTIVATIONS[seed % 3])


SCALES = (1e-6, 0.01, 0.1, 1.0, 30.0)


def softmax_cases() -> Iterator[Case]:
    for seed in range(30):
        classes = (1, 2, 3, 10, 60, 5000)[seed % 6]
        yield softmax(1 + seed % 3, classes, SCALES[seed % 5], seed, FILLS[seed % 4])


def softmax_q31_turn(code: int) -> Iterator[Case]:
    """Two classes: the least exponential that gives the second one `code`, and the one below it.

    There the last bit of the reciprocal shows.
    """
    x, table = np.array([[0, -1]], np.int8), np.full(256, 2**31 - 1, np.int32)

    def answer(exponential: int) -> samples.Array:
        table[1] = exponential
        t = TensorType((1, 2), "int8")
        return OPS["SoftmaxQ31"].reference(SoftmaxQ31(), Io((t,), t), (x,), {"exp_q31": table})

    low, high = 0, 2**31 - 1  # below, and at or above
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if answer(middle)[0, 1] >= code else (middle, high)
    for exponential in (low, high):
        y = Out(answer(exponential), initial=x)
        given = (Pointer((Struct((Const(table.copy()), 1, 2)),)), y, y)
        label = f"edgeq_softmax_q31_s8, exponential {exponential} beside 1"
        yield Case(label, (Call("edgeq_softmax_q31_s8", given),))


def softmax_q31_cases() -> Iterator[Case]:
    for code in range(-127, 1, 4):
        yield from softmax_q31_turn(code)
    for seed in range(30):
        classes = (1, 2, 3, 10, 60, MOST_CLASSES)[seed % 6]
        yield softmax_q31(1 + seed % 3, classes, SCALES[seed % 5], seed, FILLS[seed % 4])


def confidence_cases() -> Iterator[Case]:
    for seed in range(30):
        classes = (1, 2, 3, 10, 60, 5000)[seed % 6]
        yield confidence(classes, SCALES[seed % 5], seed, FILLS[seed % 4])


def gate_cases() -> Iterator[Case]:
    for seed in range(24):
        yield gate(1 + 7 * seed % 31, 1 + seed % 4, seed, FILLS[seed % 4])
