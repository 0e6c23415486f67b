"""Tables of an audio front end: window, mel filters, sines, logarithms.

mel = 2595 log10(1 + f / 700) (O'Shaughnessy, Speech Communication, 1987; HTK's and ESC-50's form).
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]

LOG_PLACES, LOG_BITS = 64, 15
WEIGHT_ONE = 255  # a filter's peak on the device


def hann(window: int) -> Reals:
    """(window,): periodic, so that entry i is entry window - i."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window))


@lru_cache(maxsize=32)
def filters(sample_rate_hz: int, fft: int, mels: int, low_hz: float, high_hz: float) -> Reals:
    """Triangles (mels, fft // 2 + 1) with peak 1, evenly spaced in mel.

    Raises ValueError for frequencies out of order or a band that no bin lies in.
    """
    if not 0 <= low_hz < high_hz <= sample_rate_hz / 2:
        raise ValueError(
            f"bands from {low_hz:g} to {high_hz:g} Hz; give 0 <= low < high <= "
            f"{sample_rate_hz / 2:g}, half the sample rate"
        )
    low, high = (2595 * np.log10(1 + f / 700) for f in (low_hz, high_hz))
    corners = 700 * (10 ** (np.linspace(low, high, mels + 2) / 2595) - 1)
    bins = np.arange(fft // 2 + 1) * sample_rate_hz / fft
    left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    made = np.maximum(0.0, np.minimum(rising, falling))
    empty = np.flatnonzero(np.round(made * WEIGHT_ONE).max(axis=1) < 1)
    if empty.size:
        raise ValueError(
            f"band {empty[0]} of {mels} holds no bin of {sample_rate_hz / fft:g} Hz; take fewer "
            "mels, a longer fft or a higher low_hz"
        )
    made.setflags(write=False)
    return made


def half_window(window: int) -> npt.NDArray[np.int32]:
    """The first half of `hann` and its peak, in Q31."""
    return _q31(hann(window)[: window // 2 + 1])


def sines(fft: int) -> npt.NDArray[np.int32]:
    """sin(2 pi i / fft) in Q31, i = 0 .. 3 fft / 4."""
    return _q31(np.sin(2 * np.pi * np.arange(3 * fft // 4 + 1) / fft))


def _q31(real: Reals) -> npt.NDArray[np.int32]:
    return np.minimum(np.round(real * 2**31), 2**31 - 1).astype(np.int32)


def packed_filters(triangles: Reals) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """(first bin, number of bins) of each band (mels, 2), and the weights of all bands in 255ths,
    one band behind another.
    """
    codes = np.round(triangles * WEIGHT_ONE).astype(np.uint8)
    bands, weights = [], []
    for row in codes:
        used = np.flatnonzero(row)
        first, last = int(used[0]), int(used[-1])
        bands.append((first, last - first + 1))
        weights.append(row[first : last + 1])
    return np.array(bands, np.uint16), np.concatenate(weights)


def log_table() -> npt.NDArray[np.uint16]:
    """log2(1 + i / 64) in Q15, i = 0 .. 64."""
    places = np.arange(LOG_PLACES + 1) / LOG_PLACES
    return np.asarray(np.round(np.log2(1 + places) * 2**LOG_BITS), np.uint16)
