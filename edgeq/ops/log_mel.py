"""LogMel: int16 sound (1, samples, 1) or (samples, 1, 1) to log mel energies, (1, frames, mels) or
(frames, mels, 1), which are the same bytes.

A frame is `window` samples, every `hop` one, none beyond the ends. Of each: pre-emphasis, a Hann
window, the squares of a real FFT of `fft` points, triangles evenly spaced in mel, and
(ln(energy + floor) - mean) / std. Real samples lie in [-1, 1), 1/32768 a step.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ir import Graph, Quant
from edgeq.ops import mel
from edgeq.ops.fixed_point import quantize_multipliers, requantize
from edgeq.ops.log_mel_steps import (
    INPUT_SHIFT,
    POWER_SHIFT,
    band_sums,
    log2_q15,
    powers,
    windowed,
)
from edgeq.ops.op import (
    NO_FUSION,
    NO_WIDENING,
    Accumulator,
    Array,
    Call,
    Fields,
    Io,
    Lowered,
    Op,
    Params,
    Place,
    Pointer,
    Reach,
    Role,
    Shapes,
    Site,
    no_limit,
    own_scale,
    quant_of,
)

FRONT_ENDS = ("LogMel", "Mfcc", "Pcen", "PcenStep")  # the ops that make features of sound
FFTS = (256, 512, 1024)
MOST_MELS = 128
PCM = Quant((2.0**-15,))
ROWS_AT_ONCE = 1024  # frames
REACH = 63 << mel.LOG_BITS


@dataclass(frozen=True)
class LogMel:
    """Lengths in samples, `floor` in the energy's unit: a full-scale sine that fills a band has
    (window / 4)^2. `preemphasis`: the share of the sample before that is taken away.
    """

    sample_rate_hz: int = 16_000
    window: int = 512
    hop: int = 256
    fft: int = 512
    mels: int = 40
    low_hz: float = 20.0
    high_hz: float = 8_000.0
    floor: float = 1e-6
    mean: float = 0.0
    std: float = 1.0
    preemphasis: float = 0.0

    @property
    def filters(self) -> Array:
        """(mels, fft // 2 + 1). Raises ValueError as mel.filters does."""
        own = self.sample_rate_hz, self.fft, self.mels, self.low_hz, self.high_hz
        return mel.filters(*own)

    @property
    def features(self) -> int:
        """Of a frame."""
        return self.mels

    @property
    def gain(self) -> float:
        """A band's integer over its real energy."""
        bits = 30 + 2 * (15 - INPUT_SHIFT) - POWER_SHIFT  # samples, window, powers
        return mel.WEIGHT_ONE * 2.0**bits * (2 / self.fft) ** 2

    def check(self) -> None:
        """Raises ValueError for what has no kernel, naming what is allowed."""
        if self.fft not in FFTS:
            raise ValueError(f"fft is {self.fft}; there are {', '.join(map(str, FFTS))}")
        if not 2 <= self.window <= self.fft or self.window % 2:
            raise ValueError(f"a window of {self.window} samples; give an even 2 to {self.fft}")
        if not 1 <= self.hop <= self.window:
            raise ValueError(f"a hop of {self.hop} samples; give 1 to the window, {self.window}")
        if not 1 <= self.mels <= MOST_MELS:
            raise ValueError(f"{self.mels} mels; give 1 to {MOST_MELS}")
        if not 1000 <= self.sample_rate_hz <= 192_000:
            raise ValueError(f"{self.sample_rate_hz} Hz; give 1000 to 192000")
        if not 1e-12 <= self.floor <= 1e4:
            raise ValueError(f"a floor of {self.floor:g}; give 1e-12 to 1e4")
        if not -100 <= self.mean <= 100 or not 1e-3 <= self.std <= 1e3:
            raise ValueError(f"mean {self.mean:g}, std {self.std:g}; give +-100 and 1e-3 to 1e3")
        if not 0 <= self.preemphasis < 1:
            raise ValueError(f"a pre-emphasis of {self.preemphasis:g}; give 0 to below 1")
        self.filters  # noqa: B018  (raises)

    def frames(self, samples: int) -> int:
        """Of so many samples."""
        return max(0, (samples - self.window) // self.hop + 1)


def sound_rate(graph: Graph) -> int | None:
    """Samples a second of a model that takes one channel of sound; None for others."""
    source = graph.tensors[graph.inputs[0]]
    rates = [node.attrs.sample_rate_hz for node in graph.nodes if node.op in FRONT_ENDS]
    if len(graph.inputs) > 1 or not rates or source.size != max(source.shape):
        return None
    return int(rates[0])


def _axis(shape: tuple[int, ...]) -> int:
    """Of time."""
    return 0 if shape[0] > 1 else 1


def _result_shape(attrs: LogMel, inputs: Shapes, params: Mapping[str, Any]) -> tuple[int, ...]:
    shape = inputs[0]
    if len(shape) != 3 or sorted(shape)[:2] != [1, 1]:
        raise ValueError(f"takes sound of one channel, (1, samples), not {shape}")
    attrs.check()
    frames = attrs.frames(max(shape))
    if frames < 1:
        raise ValueError(f"{max(shape)} samples are no window of {attrs.window}")
    made = frames, attrs.features
    return (1, *made) if _axis(shape) else (*made, 1)


def _framed(attrs: LogMel, x: Array) -> Array:
    """(rows * frames, window)"""
    samples = x.reshape(len(x), -1)
    frames = np.lib.stride_tricks.sliding_window_view(samples, attrs.window, axis=1)
    return frames[:, :: attrs.hop].reshape(-1, attrs.window)


def shaped(attrs: LogMel, x: Array, made: Array) -> Array:
    """The output that rows of frames (rows * frames, features) are."""
    return made.reshape(len(x), *_result_shape(attrs, (x.shape[1:],), {}))


def float_energies(attrs: LogMel, x: Array) -> Array:
    """Of each band (rows * frames, mels), float64."""
    frames, made = _framed(attrs, x), []
    for at in range(0, len(frames), ROWS_AT_ONCE):
        rows = frames[at : at + ROWS_AT_ONCE].astype(np.float64)
        rows = rows - attrs.preemphasis * np.concatenate([rows[:, :1], rows[:, :-1]], axis=1)
        spectrum = np.fft.rfft(rows * mel.hann(attrs.window), attrs.fft)
        made.append((spectrum.real**2 + spectrum.imag**2) @ attrs.filters.T)
    return np.concatenate(made)


def float_logs(attrs: LogMel, x: Array) -> Array:
    """(ln(energy + floor) - mean) / std (rows * frames, mels), float64."""
    energies = float_energies(attrs, x)
    return np.asarray((np.log(energies + attrs.floor) - attrs.mean) / attrs.std)


def _float_forward(attrs: LogMel, x: tuple[Array, ...], params: Params) -> Array:
    return shaped(attrs, x[0], float_logs(attrs, x[0])).astype(np.float32)


def energies(attrs: LogMel, x: Array, params: Params) -> Array:
    """The integer of each band (rows * frames, mels)."""
    frames, made = _framed(attrs, x), []
    for at in range(0, len(frames), ROWS_AT_ONCE):
        rows = frames[at : at + ROWS_AT_ONCE]
        weighted = windowed(rows, params["window"], int(params["preemphasis"][0]))
        power = powers(weighted, params["sine"], attrs.fft)
        made.append(band_sums(power, params["bands"], params["weights"]))
    return np.concatenate(made)


def logs(attrs: LogMel, x: Array, params: Params) -> Array:
    """log2 of each band's integer, in Q15, less the offset (rows * frames, mels)."""
    floored = energies(attrs, x, params) + params["floor"][0]
    return np.asarray(log2_q15(floored, params["log_table"]) - params["offset"][0])


def _reference(attrs: LogMel, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    numbers = params["multiplier"][0], params["shift"][0], quant_of(io.output).zero_point
    return shaped(attrs, x[0], requantize(logs(attrs, x[0], params), *numbers, -128, 127))


def lower(site: Site) -> Lowered:
    attrs: LogMel = site.node.attrs
    bands, weights = mel.packed_filters(attrs.filters)
    octave = math.log(2) / attrs.std / 2**mel.LOG_BITS
    multiplier, shift = quantize_multipliers([octave / site.output_quant.per_tensor])
    least = max(1, round(attrs.floor * attrs.gain))
    offset = 2**mel.LOG_BITS * (math.log2(attrs.gain) + attrs.mean / math.log(2))
    values: dict[str, Array] = {
        "window": mel.half_window(attrs.window),
        "sine": mel.sines(attrs.fft),
        "bands": bands,
        "weights": weights,
        "log_table": mel.log_table(),
        "floor": np.array([least], np.int64),
        "preemphasis": np.array([round(attrs.preemphasis * 2**15)], np.int32),
        "offset": np.array([round(offset)], np.int32),
        "multiplier": multiplier,
        "shift": shift.astype(np.int32),
    }
    return Lowered(values, {})


def log_reach(site: Site) -> Array:
    """The largest magnitude of `logs`."""
    return np.asarray(np.abs(site.param("offset").astype(np.int64)) + REACH)


def _accumulators(site: Site) -> tuple[Accumulator, ...]:
    """Of the logarithm; log_mel_steps says why the sums before it fit."""
    return (Accumulator(log_reach(site), site.param("multiplier"), site.param("shift")),)


def macs(attrs: LogMel, io: Io, params: Mapping[str, Any]) -> int:
    """Of window and bands; the FFT is counted as its complex products, 4 each."""
    stages = (attrs.fft // 2).bit_length() // 2
    each = attrs.window + 3 * stages * attrs.fft // 2 + 4 * attrs.fft // 2
    return int(io.output.size // attrs.features) * (each + int(np.count_nonzero(attrs.filters)))


def _reach(attrs: LogMel, io: Io, params: Params, axis: int) -> Reach | None:
    if axis != _axis(io.inputs[0].shape):
        return None
    return Reach(lambda _: attrs, attrs.window, attrs.hop)


_ARRAYS = {
    "window": "int32",
    "sine": "int32",
    "bands": "uint16",
    "weights": "uint8",
    "log_table": "uint16",
}
_NUMBERS = ("preemphasis", "offset", "multiplier", "shift")
ROLES = (
    *(Role(name, kind) for name, kind in _ARRAYS.items()),
    Role("floor", "int64", Place.INLINE),
    *(Role(name, "int32", Place.INLINE) for name in _NUMBERS),
)


def fields(site: Site) -> Fields:
    attrs: LogMel = site.node.attrs
    return (
        *((name, Pointer(name)) for name in _ARRAYS),
        ("floor", site.param("floor")[0]),
        ("samples", attrs.window),
        ("hop", attrs.hop),
        ("fft", attrs.fft),
        ("mels", attrs.mels),
        ("frames", site.output_size // attrs.features),
        *((name, site.number(name)) for name in _NUMBERS),
        ("output_zero_point", site.output_quant.zero_point),
    )


def scratch_bytes(fft: int) -> int:
    """A cell of eight bytes for each bin: a pair of samples, then a power."""
    return 8 * (fft // 2 + 1)


OP = Op(
    name="LogMel",
    attrs=LogMel,
    arity=1,
    dtypes=frozenset({"int8", "int16"}),
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=macs,
    roles=lambda _: ROLES,
    scale=own_scale,
    finest=no_limit,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=lower,
    accumulators=_accumulators,
    reach=_reach,
    memory=None,
    code=Call("LogMel", "edgeq_log_mel_params", fields),
)
