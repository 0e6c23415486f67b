"""From observed activations to (scale, zero point): min-max, percentile, MSE-optimal, a margin."""

import math

import numpy as np

from edgeq.errors import BadInput
from edgeq.ir import Quant
from edgeq.ops.op import Array

METHODS = ("minmax", "percentile", "mse", "margin")
PERCENTILE = 99.99
SAMPLE = 50_000  # values a range is chosen from; strided, so that the choice is reproducible
CLIPS = np.linspace(0.3, 1.0, 36)
SMALLEST_RANGE = 1e-18  # below it float32 products of scales would lose digits


def choose_quant(values: Array, method: str) -> Quant:
    """int8 quantisation of float values (rows, ...); zero is always representable exactly.

    "margin" is min-max and 1/sqrt(rows) of it more: what other rows reach beyond the extremes of a
    few. Raises BadInput for an unknown method or values that are not finite.
    """
    if method not in METHODS:
        known = ", ".join(METHODS)
        raise BadInput(f"calibration method {method!r} is unknown; choose from {known}")
    flat = values.ravel()
    low, high = float(flat.min(initial=0)), float(flat.max(initial=0))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise BadInput("an activation is not finite on the calibration data; check model and data")
    sample = flat[:: max(1, flat.size // SAMPLE)]
    if method == "percentile":
        low = min(0.0, float(np.percentile(sample, 100 - PERCENTILE)))
        high = max(0.0, float(np.percentile(sample, PERCENTILE)))
    if method == "margin":
        wider = 1 + 1 / math.sqrt(max(1, len(values)))
        low, high = low * wider, high * wider
    if method == "mse":
        low, high = _mse_range(sample.astype(np.float64), low, high)
    return affine(low, high)


def wide_quant(values: Array) -> Quant:
    """int16 quantisation around zero, twice as wide as the values: it has bits to spare."""
    most = max(2 * float(np.abs(values).max(initial=0)), SMALLEST_RANGE)
    return Quant((float(np.float32(most / 32767)),), 0)


def affine(low: float, high: float) -> Quant:
    """Quant that covers [low, high] (zero included) with 256 steps; the scale is a float32."""
    low, high = min(low, 0.0), max(high, 0.0)
    if high - low < SMALLEST_RANGE:
        high = low + SMALLEST_RANGE
    scale = float(np.float32((high - low) / 255))
    return Quant((scale,), int(np.clip(round(-128 - low / scale), -128, 127)))


def _mse_range(sample: Array, low: float, high: float) -> tuple[float, float]:
    """The clipped range with the least mean squared rounding and clipping error."""
    best, best_error = (low, high), np.inf
    for clip in CLIPS:
        quant = affine(low * clip, high * clip)
        q = np.clip(np.round(sample / quant.per_tensor) + quant.zero_point, -128, 127)
        error = float(np.mean(((q - quant.zero_point) * quant.per_tensor - sample) ** 2))
        if error <= best_error:
            best, best_error = (low * clip, high * clip), error
    return best
