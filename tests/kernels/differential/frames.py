"""Kernels of int16 and of what is kept: Narrow, Delay and History."""

from collections.abc import Iterator

import numpy as np

from edgeq.ir import Quant, TensorType
from edgeq.ops import OPS
from edgeq.ops.embedding import IDS
from edgeq.ops.fixed_point import quantize_multipliers
from edgeq.ops.op import Io, quant_of
from tests.kernels import samples
from tests.kernels.differential.case import Call, Case, Const, Out, Pointer, Struct


def narrowed(size: int, seed: int) -> Case:
    rng, ends = np.random.default_rng(seed), np.iinfo(np.int16)
    x = rng.integers(ends.min, ends.max, (1, size), dtype=np.int16, endpoint=True)
    x[0, : min(size, 2)] = (ends.min, ends.max)[:size]
    multiplier, shift = quantize_multipliers([2.0 ** -float(rng.uniform(-3, 12))])
    kinds = (
        TensorType((size,), "int16", Quant((0.001,))),
        TensorType((size,), "int8", samples.quant(rng)),
    )
    constants = {"multiplier": multiplier, "shift": shift}
    io = Io(kinds[:1], kinds[1])
    wanted = OPS["Narrow"].reference(OPS["Narrow"].attrs(), io, (x,), constants)[0]
    zero = quant_of(kinds[1]).zero_point
    given = Pointer((Struct((size, int(multiplier[0]), int(shift[0]), zero)),))
    call = Call("edgeq_narrow_s16", (given, Const(x), Out(wanted)))
    return Case(f"edgeq_narrow_s16 {size}, seed {seed}", (call,))


def narrow_cases() -> Iterator[Case]:
    for seed in range(24):
        yield narrowed(1 + 5 * seed % 41, seed)


def embedded(count: int, rows: int, width: int, seed: int) -> Case:
    """Ids inside and beyond both ends of the table."""
    rng, ends = np.random.default_rng(seed), np.iinfo(np.int16)
    x = rng.integers(-2, rows + 2, (1, count)).astype(np.int16)
    x[0, : min(count, 4)] = (ends.max, ends.min, rows - 1, rows)[:count]
    table = rng.integers(-128, 128, (rows, width), dtype=np.int8)
    kinds = TensorType((count,), "int16", IDS), TensorType((count, width), "int8", IDS)
    wanted = OPS["Embedding"].reference(
        OPS["Embedding"].attrs(), Io(kinds[:1], kinds[1]), (x,), {"table": table}
    )[0]
    given = Pointer((Struct((Const(table), count, rows - 1, width)),))
    call = Call("edgeq_embedding_s16", (given, Const(x), Out(wanted)))
    return Case(f"edgeq_embedding_s16 {count} of {rows}x{width}, seed {seed}", (call,))


def embedding_cases() -> Iterator[Case]:
    for seed in range(16):
        yield embedded(1 + 3 * seed % 11, 1 + 5 * seed % 23, 1 + 7 * seed % 19, seed)


def delayed(size: int, seed: int, dtype: str) -> Case:
    """Two calls: the second gives what the first was given."""
    rng, ends = np.random.default_rng(seed), np.iinfo(dtype)
    kept, a, b = rng.integers(ends.min, ends.max, (3, size), dtype=dtype, endpoint=True)
    given, state = Pointer((Struct((a.nbytes,)),)), Out(b, kept)
    first, second = (Const(a), Out(kept)), (Const(b), Out(a))
    calls = tuple(Call("edgeq_delay_s8", (given, *ends, state)) for ends in (first, second))
    return Case(f"edgeq_delay_s8 {size} {dtype}, seed {seed}", calls)


def delay_cases() -> Iterator[Case]:
    for seed in range(12):
        yield delayed(1 + 5 * seed % 41, seed, ("int8", "int16")[seed % 2])


def remembered(new: int, late: int, more: int, row: int, seed: int, dtype: str) -> Case:
    """Three calls with `new` cells of `row` values each: the ends of a sequence, by the op."""
    rng, ends = np.random.default_rng(seed), np.iinfo(dtype)
    attrs = OPS["History"].attrs(0, max(1, new - late + more), late)
    x = rng.integers(ends.min, ends.max, (3, new, row), dtype=dtype, endpoint=True)
    quant = Quant((0.1,), 0)
    io = Io((TensorType((new, row), dtype, quant),), TensorType((attrs.cells, row), dtype, quant))
    memory = OPS["History"].memory
    assert memory is not None
    shape = memory.kind(attrs, io).shape
    start = rng.integers(ends.min, ends.max, shape, dtype=dtype, endpoint=True)
    made, last = memory.run(attrs, io, (x,), {}, start)
    kept, out, came = start.nbytes, made[0].nbytes, x[0].nbytes
    old, stays = min(out, kept), max(kept - came, 0)
    given = Pointer((Struct((old, out - old, came, stays, kept - stays)),))
    state = Out(last, start)
    pairs = zip(x, made, strict=True)
    calls = tuple(Call("edgeq_history_s8", (given, Const(a), Out(b), state)) for a, b in pairs)
    return Case(f"edgeq_history_s8 {new} new, {late} late of {row} {dtype}, seed {seed}", calls)


def history_cases() -> Iterator[Case]:
    for seed in range(24):
        late, dtype = seed % 3, ("int8", "int16")[seed % 2]
        yield remembered(1 + seed % 5, late, 1 + 3 * seed % 11, 1 + seed % 7, seed, dtype)
