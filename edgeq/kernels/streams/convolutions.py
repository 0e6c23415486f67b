"""Convolutions: four output channels a block. The layouts: edgeq_*conv_2d_s8_*_dsp.c."""

import numpy as np

from edgeq.kernels.streams.stream import Stream
from edgeq.ops.op import Array

ROWS = 4
BAND_BYTES = 2048  # for a strip of the map, at 3x3 and stride 1


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


def _conv_s8(weight: Array) -> Array:
    rows = _padded(weight.reshape(weight.shape[0], -1), 4)
    pairs = rows.reshape(-1, 2, 2, rows.shape[1])
    words = _column_pairs(pairs[:, :, 0] + 256 * pairs[:, :, 1])  # (block, pair of rows, group, 2)
    return np.ascontiguousarray(words.transpose(0, 2, 3, 1)).reshape(-1)


def _patch_bytes(weight_shape: tuple[int, ...], group: int) -> int:
    """Two patches of 16-bit halves; beside them two rows in bytes, or all rows if those are odd."""
    _, height, width, channels = weight_shape
    columns = height * width * channels
    run = width * channels
    spare = 2 * run if run % 4 == 0 else 2 * (-(-columns // 4) * 4)
    return 4 * (-(-columns // group) * group) + spare


def scratch_bytes_conv_s8(
    weight_shape: tuple[int, ...],
    input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    padding: tuple[int, int, int, int],
    stride: tuple[int, int],
) -> int:
    """Bytes of scratch of edgeq_conv_2d_s8_s8_dsp."""
    return _patch_bytes(weight_shape, 4)


def _conv_s4(weight: Array) -> Array:
    rows = _padded(weight.reshape(weight.shape[0], -1), 4)
    w = rows.reshape(-1, ROWS, rows.shape[1])
    nibbles = w[:, 0] + 8, w[:, 1], w[:, 2] + 8 - (w[:, 1] < 0), w[:, 3]
    halves = sum((n & 15) << 4 * i for i, n in enumerate(nibbles))
    return _column_pairs(np.asarray(halves)).reshape(-1)


def _conv_t2(weight: Array) -> Array:
    rows = _padded(weight.reshape(weight.shape[0], -1), 8)
    pairs = rows.reshape(-1, 2, 2, rows.shape[1] // 8, 8)  # (block, pair of rows, row, group, 8)
    order = np.array([0, 2, 1, 3, 4, 6, 5, 7])  # (low, high) of each turn
    turn = 4 * np.repeat(np.arange(4), 2)
    half = 16 * np.tile(np.arange(2), 4)
    low = (pairs[:, :, 0, :, order] + 1) << (turn + half)[:, None, None, None]
    high = (pairs[:, :, 1, :, order] & 3) << ((14 + turn + half) % 32)[:, None, None, None]
    words = (low | high).sum(0)  # (block, pair of rows, group): no two codes share a bit
    return np.ascontiguousarray(words.transpose(0, 2, 1)).astype(np.uint32).reshape(-1)


def _blocks(weight: Array) -> Array:
    """Depthwise weights as (block of four channels, pair of taps, 2, 4), zeros added."""
    taps = _padded(weight.reshape(-1, weight.shape[-1]).T, 2)  # (channels, taps)
    return np.asarray(taps.reshape(-1, ROWS, taps.shape[1] // 2, 2).transpose(0, 2, 3, 1))


def _depthwise(weight: Array, bits: int) -> Array:
    """Channels side by side in `bits` bits, the first lowest."""
    codes = _blocks(weight) & (1 << bits) - 1
    return np.asarray((codes << bits * np.arange(ROWS)).sum(-1))


def _depthwise_s8(weight: Array) -> Array:
    return _depthwise(weight, 8).astype(np.uint32).reshape(-1)


def _depthwise_s4(weight: Array) -> Array:
    halves = _depthwise(weight, 4)
    return _halves(halves[..., 0], halves[..., 1]).reshape(-1)


def scratch_bytes_depthwise_s8(
    weight_shape: tuple[int, ...],
    input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    padding: tuple[int, int, int, int],
    stride: tuple[int, int],
) -> int:
    """Bytes of scratch of edgeq_depthwise_conv_2d_s8_s8_dsp."""
    (height, width, _), out = weight_shape, output_shape
    taps = 16 * -(-height * width // 2)
    pairs = -(-width // 2)
    rows = height * (16 * pairs + 4 * ((out[1] - 1) * stride[1] + 2 * pairs))
    if (height, width, *stride) != (3, 3, 1, 1):
        return taps + rows
    band = 16 * (out[1] + 2)
    return taps + max(rows, band * min(-(-out[0] // 2) + 1, max(2, BAND_BYTES // band)))


def scratch_bytes_conv_t2(
    weight_shape: tuple[int, ...],
    input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    padding: tuple[int, int, int, int],
    stride: tuple[int, int],
) -> int:
    """Bytes of scratch of edgeq_conv_2d_s8_t2_dsp."""
    return _patch_bytes(weight_shape, 8)


scratch_bytes_conv_s4 = scratch_bytes_conv_s8
scratch_bytes_depthwise_s4 = scratch_bytes_depthwise_s8

CONV_S8 = Stream(_conv_s8)
CONV_S4 = Stream(_conv_s4)
CONV_T2 = Stream(_conv_t2)
DEPTHWISE_S8 = Stream(_depthwise_s8)
DEPTHWISE_S4 = Stream(_depthwise_s4)
