"""A lowered graph for each way of the audio front end: AUDIO_CASES is the table."""

from collections.abc import Callable, Mapping

import numpy as np

from edgeq.ir import Graph, Node, TensorType
from edgeq.ops.log_mel import PCM, LogMel
from edgeq.ops.mfcc import Mfcc
from edgeq.ops.pcen import Pcen
from edgeq.passes import quantize

# attributes, samples, whether a map
CASES: Mapping[str, tuple[LogMel, int, bool]] = {
    "log mel of 512": (LogMel(mean=-3.0, std=4.0), 1100, False),
    "log mel of 256": (LogMel(8000, 200, 80, 256, 20, 60.0, 4000.0, std=3.0), 500, True),
    "log mel of 1024": (LogMel(44_100, 1024, 512, 1024, 64, 50.0, 16_000.0), 1024, False),
    "log mel, emphasised": (LogMel(window=400, hop=160, preemphasis=0.97), 600, True),
    "log mel, few bands": (LogMel(16_000, 16, 16, 256, 3, 100.0, 8000.0, 1.0), 48, False),
    "mfcc": (Mfcc(std=2.0), 1100, False),
    "mfcc, a map of all": (Mfcc(8000, 200, 80, 256, 20, 60.0, 4000.0, coefficients=20), 500, True),
    "mfcc, loudness alone": (Mfcc(44_100, 1024, 512, 1024, mels=1, coefficients=1), 1024, False),
    "pcen": (Pcen(), 2600, False),
    "pcen, a map": (
        Pcen(8000, 200, 80, 256, 20, 60.0, 4000.0, smooth=0.2, alpha=0.8, delta=10.0, root=0.25),
        900,
        True,
    ),
    "pcen, no loudness": (Pcen(hop=512, mels=3, smooth=1.0, alpha=1.0, root=1.0), 1600, False),
    "pcen, a power": (Pcen(hop=400, alpha=0.0, delta=1e-3, root=0.1, mean=1.0), 1500, False),
}
FINE: Mapping[
    str, tuple[LogMel, int, bool]
] = {  # whose steps are those of the logarithm, or of the transform
    "log mel above a high floor": (LogMel(floor=1e4, mean=9.21034), 600, False),
    "mfcc with hardly a floor": (Mfcc(floor=1e-12, coefficients=40), 600, False),
    "pcen of a narrow range": (
        Pcen(8000, 256, 64, 256, 20, 60.0, 4000.0, 1e-12, 0.3178, smooth=1.0, alpha=0.999),
        2000,
        False,
    ),
}


NARROW = ("pcen of a narrow range",)  # and silence leaves it


def float_graph(name: str) -> Graph:
    """From x to y."""
    attrs, samples, as_map = {**CASES, **FINE}[name]
    given = (samples, 1, 1) if as_map else (1, samples, 1)
    frames = attrs.frames(samples)
    made = (frames, attrs.features, 1) if as_map else (1, frames, attrs.features)
    tensors = {"x": TensorType(given, "int16", PCM), "y": TensorType(made)}
    node = Node("one", type(attrs).__name__, ("x",), ("y",), attrs)
    return Graph("g", ("x",), ("y",), (node,), tensors, {})


def rows_of(name: str, rows: int = 12) -> np.ndarray:
    """Noise from loud to quiet, with a tone in it; clipped, as sound is."""
    attrs, samples, _ = {**CASES, **FINE}[name]
    rng, time = np.random.default_rng(4), np.arange(samples) / attrs.sample_rate_hz
    loud = (0.05 if name in FINE else 1.0) * 10.0 ** -np.linspace(
        0, 2 if name in NARROW else 4, rows
    )[:, None]
    sound = loud * (rng.normal(0.0, 0.5, (rows, samples)) + np.sin(2 * np.pi * 700 * time))
    whole = np.round(np.clip(sound, -1, 1 - 2**-15) * 2**15) / 2**15
    return whole.astype(np.float32).reshape(rows, *float_graph(name).tensors["x"].shape)


def _lowered(name: str) -> Callable[[], Graph]:
    return lambda: quantize(float_graph(name), rows_of(name), "minmax", frozenset()).graph


AUDIO_CASES: Mapping[str, Callable[[], Graph]] = {name: _lowered(name) for name in CASES}
FINE_CASES: Mapping[str, Callable[[], Graph]] = {name: _lowered(name) for name in FINE}
