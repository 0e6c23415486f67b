"""Convolutions: four output channels a block. The layouts: edgeq_*conv_2d_s8_*_dsp.c."""

from collections.abc import Callable

import numpy as np

from edgeq.kernels.streams.stream import Stream
from edgeq.ops.op import Array

WindowScratch = Callable[
    [tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, int, int, int], tuple[int, int]],
    int,
]
ROWS = 4
LEAST_SHIFT, MOST_SHIFT = -22, 30
NEAR = range(-12, -1)  # shifts that one multiply rounds, whatever the sum
HALVES = range(-12, 1)  # those of kernels that look for 0 and -1, too
LEFT = 2**31 - 256  # the divisor of 0 and left shifts
BEHIND = 3  # bytes of a last group behind a patch
STRIP_WORDS = 1024  # of patches
CELL_WORDS = 384  # of those of a 1x1 kernel, where the inner loop has room for more strips
STRIP_TURNS, STRIP_CELLS = 16, 10  # of the map, in 3x3 depthwise windows
CELLS_WORDS = 256  # in other ones


def _padded(rows: Array, group: int) -> Array:
    """Rows of int64, with zeros to whole blocks of rows and whole groups of columns."""
    grown = [(0, -rows.shape[0] % ROWS), (0, -rows.shape[1] % group)]
    return np.pad(rows.astype(np.int64), grown)


def _halves(low: Array, high: Array) -> Array:
    """Words of two 16-bit halves."""
    return np.asarray(((low & 0xFFFF) | (high & 0xFFFF) << 16).astype(np.uint32))


def _column_pairs(halves: Array) -> Array:
    """(..., columns) to words of columns (0, 2), (1, 3) of each four: (..., columns / 4, 2)."""
    fours = halves.reshape(*halves.shape[:-1], -1, 4)
    return _halves(fours[..., :2], fours[..., 2:])


def _patches(weight: Array) -> Array:
    """Rows (outputs, columns) in the order of a patch, the map's columns outermost; filled to a
    group of four.
    """
    rows = weight.transpose(0, 2, 1, 3).reshape(weight.shape[0], -1)
    return np.pad(rows, [(0, 0), (0, -rows.shape[1] % 4)])


def parameters(near: range, more: int = 1) -> Callable[[Array, Array, Array, Array], Array]:
    """Behind the weights of each block: biases, doubled; multipliers; divisors, 2^(32 + shift) and
    `more`. The first bias of a block with a shift outside `near` is odd, its divisors are others.
    """

    def join(words: Array, bias: Array, multiplier: Array, shift: Array) -> Array:
        blocks = -(-len(bias) // ROWS)
        vectors = 2 * bias.astype(np.int64), multiplier, np.where(multiplier == 0, near[0], shift)
        twice, factor, signed = (
            np.pad(v.astype(np.int64), (0, -len(bias) % ROWS), constant_values=fill)
            for v, fill in zip(vectors, (0, 0, near[0]), strict=True)
        )
        far = ~np.isin(signed, near).reshape(blocks, ROWS).all(1)
        right, left = np.minimum(signed, -1), np.maximum(signed, 0)
        close = np.where(signed < 0, (1 << 32 + right) + more, -1)
        divisor = np.where(
            far.repeat(ROWS), np.where(signed < 0, 1 << 31 + right, LEFT + left), close
        )
        twice[::ROWS] += far
        rows = (v.reshape(blocks, ROWS) & 0xFFFFFFFF for v in (twice, factor, divisor))
        return np.concatenate([words.reshape(blocks, -1), *rows], 1).astype(np.uint32).reshape(-1)

    return join


def _started(words: Array, bias: Array, multiplier: Array, shift: Array) -> Array:
    """`parameters` for sums that are not doubled and start at the biases of rows 0 and 2, which
    stand before the weights: biases; multipliers doubled, less 2^32; the divisor of 0 is 0. The
    first multiplier of a block with a shift outside NEAR is odd.
    """
    blocks = -(-len(bias) // ROWS)
    joined = parameters(NEAR)(words, bias, multiplier, shift).reshape(blocks, -1)
    own, (twice, factor, divisor) = joined[:, :-12], np.split(joined[:, -12:], 3, 1)
    plain = (twice.astype(np.int32) >> 1).astype(np.uint32)
    doubled = factor << 1
    doubled[:, 0] |= twice[:, 0] & 1
    divisor = np.where(factor == 0, 0, divisor)
    parts = plain[:, ::2], own, plain[:, 1::2], doubled, divisor
    return np.concatenate(parts, 1).astype(np.uint32).reshape(-1)


def _conv_s8(weight: Array) -> Array:
    rows = _padded(_patches(weight), 4)
    pairs = rows.reshape(-1, 2, 2, rows.shape[1])
    words = _column_pairs(pairs[:, :, 0] + 256 * pairs[:, :, 1])  # (block, pair of rows, group, 2)
    return np.ascontiguousarray(words.transpose(0, 2, 3, 1)).reshape(-1)


def _conv_scratch(group: int, sums: bool, cell_words: int = CELL_WORDS) -> WindowScratch:
    """Bytes of scratch, as edgeq_conv_2d_dsp.h divides them."""

    def scratch_bytes(
        weight_shape: tuple[int, ...],
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        padding: tuple[int, int, int, int],
        stride: tuple[int, int],
    ) -> int:
        (_, height, width, channels), across = weight_shape, output_shape[1]
        if (height, width, *stride) == (1, 1, 1, 1) and output_shape[:2] == input_shape[:2]:
            across *= output_shape[0]
        columns = -(-height * width * channels // 4) * 4
        patch = padded = -(-columns // group) * group
        span, step, column = 1, 1, padded
        fours = channels % 4 == 0
        if fours:
            span, step, column, patch = width, stride[1], height * channels, columns
        room = cell_words if height * width == 1 else STRIP_WORDS
        if fours and width == 1 and padding[1] == 0 and (across - 1) * step < input_shape[1]:
            step = 1  # the columns between are left out
        at_once = min(across, 1 + max(0, room - span * column) // (step * column))
        if step > span:
            at_once = 1
        most = span + (at_once - 1) * step
        words = most * column + padded - patch + (2 * most if sums else 0)
        if fours:
            return 4 * words + channels
        band = ((across - 1) * stride[1] + width) * height
        band += (output_shape[0] - 1) // 2 * stride[0]  # it moves on from row to row
        return 4 * words + channels * (1 + 2 * band) + BEHIND

    return scratch_bytes


def _conv_s4(weight: Array) -> Array:
    return _fours(_padded(_patches(weight), 4)).reshape(-1)


def _fours(rows: Array) -> Array:
    """Rows of int64 in fours to words (block of four, columns / 4, 2)."""
    w = rows.reshape(-1, ROWS, rows.shape[1])
    nibbles = w[:, 0] + 8, w[:, 1], w[:, 2] + 8 - (w[:, 1] < 0), w[:, 3]
    return _column_pairs(np.asarray(sum((n & 15) << 4 * i for i, n in enumerate(nibbles))))


def four_rows_s4(rows: Array) -> Array:
    """Of rows in eights (rows, columns) the words of rows 0 to 3 and 4 to 7 of each column pair:
    (eights, columns / 2, 2).
    """
    words = _fours(rows)
    return words.reshape(-1, 2, words.shape[1] * 2).transpose(0, 2, 1)


def _conv_t2(weight: Array) -> Array:
    patches = _patches(weight)
    rows = _padded(patches, 8)
    pairs = rows.reshape(-1, 2, 2, rows.shape[1] // 8, 8)  # (block, pair of rows, row, group, 8)
    order = np.array([0, 2, 1, 3, 4, 6, 5, 7])  # (low, high) of each turn
    turn = 4 * np.repeat(np.arange(4), 2)
    half = 16 * np.tile(np.arange(2), 4)
    used = np.arange(rows.shape[1]).reshape(-1, 8) < patches.shape[1]
    low = (pairs[:, :, 0, :, order] + used[:, order].T[:, None, None]) << (turn + half)[
        :, None, None, None
    ]
    high = (pairs[:, :, 1, :, order] & 3) << ((14 + turn + half) % 32)[:, None, None, None]
    words = (low | high).sum(0)  # (block, pair of rows, group): no two codes share a bit
    return np.ascontiguousarray(words.transpose(0, 2, 1)).astype(np.uint32).reshape(-1)


def _blocks(weight: Array) -> Array:
    """Depthwise weights as (block of four channels, pair of taps, 2, 4). The last block is the last
    four channels; zeros are added to fewer than four.
    """
    taps = weight.reshape(-1, weight.shape[-1]).T.astype(np.int64)  # (channels, taps)
    taps = np.pad(taps, [(0, max(0, ROWS - taps.shape[0])), (0, taps.shape[1] % 2)])
    first = np.minimum(np.arange(0, taps.shape[0], ROWS), taps.shape[0] - ROWS)
    fours = taps[first[:, None] + np.arange(ROWS)]
    return np.asarray(fours.reshape(*fours.shape[:2], -1, 2).transpose(0, 2, 3, 1))


def _depthwise(weight: Array, bits: int) -> Array:
    """Channels side by side in `bits` bits, the first lowest."""
    codes = _blocks(weight) & (1 << bits) - 1
    return np.asarray((codes << bits * np.arange(ROWS)).sum(-1))


def _depthwise_s8(weight: Array) -> Array:
    return _depthwise(weight, 8).astype(np.uint32).reshape(-1)


def _depthwise_s4(weight: Array) -> Array:
    halves = _depthwise(weight, 4)
    return _halves(halves[..., 0], halves[..., 1]).reshape(-1)


def _depthwise_scratch(bytes_per_tap: int) -> WindowScratch:
    """Bytes of scratch, as edgeq_depthwise_conv_2d_dsp.h divides them."""

    def scratch_bytes(
        weight_shape: tuple[int, ...],
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        padding: tuple[int, int, int, int],
        stride: tuple[int, int],
    ) -> int:
        (height, width, _), out = weight_shape, output_shape
        taps = bytes_per_tap * 2 * -(-height * width // 2)
        cells = _window_bytes((height, out[0], stride[0]), (width, out[1], stride[1]))
        if (height, width) != (3, 3) or max(stride) > 2 or weight_shape[2] < ROWS:
            return taps + cells
        down, across = (
            _part(n, most)
            for n, most in (
                (out[0], 2 * STRIP_TURNS // stride[0]),
                (out[1], (STRIP_CELLS - 3) // stride[1] + 1),
            )
        )
        turns = down if stride[0] == 2 else -(-down // 2)
        strip = 16 * ((STRIP_TURNS + 1) * ((across - 1) * stride[1] + 2) + turns + 1)
        return taps + max(cells, strip)

    return scratch_bytes


def _window_bytes(down: tuple[int, int, int], across: tuple[int, int, int]) -> int:
    """Pairs of weights and words of cells; a direction is (kernel, outputs, stride)."""
    if across[0] * -(-down[0] // 2) < down[0] * -(-across[0] // 2):
        down, across = across, down
    pairs = -(-across[0] // 2)
    pitch = (across[1] - 1) * across[2] + 2 * pairs
    fitting = max(0, CELLS_WORDS // pitch - down[0]) // down[2]
    rows = down[0] + min(down[1] - 1, fitting) * down[2]
    return 16 * pairs * down[0] + 16 * -(-pitch * rows // 4)


def _part(n: int, most: int) -> int:
    """The first of equal parts of n, of at most so many."""
    return -(-n // -(-n // most))


scratch_bytes_conv_s8 = _conv_scratch(4, sums=False)
scratch_bytes_conv_s4 = _conv_scratch(4, sums=True, cell_words=STRIP_WORDS)
scratch_bytes_conv_t2 = _conv_scratch(8, sums=True)
scratch_bytes_depthwise_s8 = _depthwise_scratch(0)
scratch_bytes_depthwise_s4 = _depthwise_scratch(4)

CONV_S8, CONV_S4, CONV_T2 = (
    Stream(pack, join=join, least_shift=LEAST_SHIFT, most_shift=MOST_SHIFT)
    for pack, join in (
        (_conv_s8, _started),
        (_conv_s4, parameters(NEAR)),
        (_conv_t2, parameters(HALVES)),
    )
)
DEPTHWISE_S8 = Stream(_depthwise_s8, most_shift=MOST_SHIFT)
DEPTHWISE_S4 = Stream(_depthwise_s4, most_shift=MOST_SHIFT)
