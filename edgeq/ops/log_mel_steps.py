"""The integers of LogMel: a real FFT with a fixed scaling, powers, bands, a logarithm.

The FFT is one of half its length on pairs of samples (Sorensen et al., IEEE TASSP 35(6), 1987):
radix 4, decimation in time, a radix-2 stage first where the length asks for it. Every stage divides
by its radix, so that no value leaves int32 whatever the sound: a pair begins below 1.42 * 2^29 and
no stage makes a modulus larger.
"""

import numpy as np

from edgeq.ops.mel import LOG_BITS
from edgeq.ops.op import Array

POWER_SHIFT = 4  # bits that a power loses, so that a band's sum stays below 2^63
INPUT_SHIFT = 2  # of sample times window, which then has room for a pair and for pre-emphasis


def high(a: Array, b: Array) -> Array:
    """a b / 2^32, ties upward: ARM's SMMULR."""
    return np.asarray((a * b + (1 << 31)) >> 32)


def windowed(x: Array, half: Array, preemphasis: int) -> Array:
    """int16 samples (frames, window) less `preemphasis` / 2^15 of the sample before, the first
    standing before itself, times the window: steps of 2^INPUT_SHIFT / 2^15 of a sample.
    """
    samples = x.astype(np.int64)
    before = np.concatenate([samples[:, :1], samples[:, :-1]], axis=1)
    places = np.arange(x.shape[1])
    window = half.astype(np.int64)[np.minimum(places, x.shape[1] - places)]
    return high((samples << 15) - before * preemphasis, window) >> 1


def powers(x: Array, sine: Array, fft: int) -> Array:
    """|X|^2 / 2^POWER_SHIFT (frames, fft / 2 + 1) of frames (frames, window); X is the transform
    times 2 / fft.
    """
    pairs = np.zeros((len(x), fft), np.int64)
    pairs[:, : x.shape[1]] = x
    re, im = _transformed(pairs[:, 0::2], pairs[:, 1::2], sine.astype(np.int64), fft)
    return _real_powers(re, im, sine.astype(np.int64), fft)


def turned(sine: Array, fft: int, at: Array) -> tuple[Array, Array]:
    """cos and sin of 2 pi `at` / fft in Q31, from three quarters of the wave; at < 3 fft / 4."""
    beyond, quarter = at > fft // 2, fft // 4
    cos = sine[np.where(beyond, at - quarter, at + quarter)]
    return np.where(beyond, -cos, cos), sine[at]


def _reversed(n: int) -> Array:
    """Bit reversal of 0 .. n - 1."""
    made = np.zeros(1, np.int64)
    while len(made) < n:
        made = np.concatenate([2 * made, 2 * made + 1])
    return made


def _transformed(re: Array, im: Array, sine: Array, fft: int) -> tuple[Array, Array]:
    n = fft // 2
    order = _reversed(n)
    re, im, span = re[:, order], im[:, order], 1
    if n.bit_length() % 2 == 0:  # an odd power of two
        re, im = (np.stack([z[:, ::2] + z[:, 1::2], z[:, ::2] - z[:, 1::2]], 2) for z in (re, im))
        re, im, span = re.reshape(-1, n) >> 1, im.reshape(-1, n) >> 1, 2
    while span < n:
        re, im = _stage(re.reshape(-1, 4, span), im.reshape(-1, 4, span), sine, fft)
        re, im, span = re.reshape(-1, n), im.reshape(-1, n), 4 * span
    return re, im


def _stage(re: Array, im: Array, sine: Array, fft: int) -> tuple[Array, Array]:
    """Four transforms (groups, 4, span), of the samples 0, 2, 1 and 3 of every four, become one."""
    span = re.shape[2]
    legs = []
    for leg, samples in ((1, 2), (2, 1), (3, 3)):
        cos, sin = turned(sine, fft, samples * np.arange(span) * (fft // (4 * span)))
        a, b = re[:, leg], im[:, leg]
        turned_re, turned_im = high(a, cos) + high(b, sin), high(b, cos) + high(-a, sin)
        turned_re[:, 0], turned_im[:, 0] = a[:, 0] >> 1, b[:, 0] >> 1  # no angle
        legs.append((turned_re, turned_im))
    (r2, i2), (r1, i1), (r3, i3) = legs
    r0, i0 = re[:, 0] >> 1, im[:, 0] >> 1
    even, odd = (r0 + r2, i0 + i2), (r0 - r2, i0 - i2)
    total, apart = (r1 + r3, i1 + i3), (r1 - r3, i1 - i3)
    made_re = (even[0] + total[0], odd[0] + apart[1], even[0] - total[0], odd[0] - apart[1])
    made_im = (even[1] + total[1], odd[1] - apart[0], even[1] - total[1], odd[1] + apart[0])
    return np.stack(made_re, axis=1) >> 1, np.stack(made_im, axis=1) >> 1


def _real_powers(re: Array, im: Array, sine: Array, fft: int) -> Array:
    n = fft // 2
    k = np.arange(n // 2 + 1)
    a, b, c, d = re[:, k], im[:, k], re[:, -k % n], im[:, -k % n]
    cos, sin = turned(sine, fft, k)
    u, v = b + d, c - a  # twice the odd samples' transform
    odd_re, odd_im = high(u, cos) + high(v, sin), high(v, cos) + high(-u, sin)
    even_re, even_im = (a + c) >> 1, (b - d) >> 1
    found = np.zeros((len(re), n + 1), np.int64)
    found[:, k] = (even_re + odd_re) ** 2 + (even_im + odd_im) ** 2
    found[:, n - k] = (even_re - odd_re) ** 2 + (even_im - odd_im) ** 2
    return found >> POWER_SHIFT


def band_sums(power: Array, bands: Array, weights: Array) -> Array:
    """(frames, mels)"""
    found, at = [], 0
    for first, count in bands.astype(np.int64):
        row = weights[at : at + count].astype(np.int64)
        found.append(power[:, first : first + count] @ row)
        at += count
    return np.stack(found, axis=1)


def log2_q15(x: Array, table: Array) -> Array:
    """log2 of x in 1 .. 2^63 - 1, in Q15: a line between 65 places, at most 0.0001 beside it."""
    entries = table.astype(np.int64)
    left, power = x.astype(np.uint64), np.zeros(x.shape, np.int64)
    for bits in (32, 16, 8, 4, 2, 1):
        large = left >= np.uint64(1 << bits)
        power += np.where(large, bits, 0)
        left = np.where(large, left >> np.uint64(bits), left)
    mantissa = ((x.astype(np.uint64) << (63 - power).astype(np.uint64)) >> np.uint64(42)).astype(
        np.int64
    )  # 22 bits, the first of them 1
    place, rest = (mantissa >> 15) & 63, mantissa & 0x7FFF
    rise = entries[place + 1] - entries[place]
    return np.asarray((power << LOG_BITS) + entries[place] + ((rise * rest + (1 << 14)) >> 15))
