"""ESC-10 clips to log-mel features, and the cache of them.

64 mel bands from 50 to 8000 Hz over Hann windows of 32 ms every 16 ms. The power of four windows
in a row is averaged before the logarithm, so that a frame covers 80 ms and comes every 64 ms:
77 frames a clip instead of 311, and no sound between two frames is lost.
"""

import csv
import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.signal
import soundfile

from edgeq.errors import BadInput

SAMPLE_RATE_HZ = 16_000
CLIP_SAMPLES = 5 * SAMPLE_RATE_HZ
WINDOW, HOP, FFT = 512, 256, 1024
BANDS, LOW_HZ, HIGH_HZ = 64, 50.0, 8000.0
AVERAGED_WINDOWS = 4
FRAMES = ((CLIP_SAMPLES - WINDOW) // HOP + 1) // AVERAGED_WINDOWS
SHAPE = (1, BANDS, FRAMES)
# log power of a typical clip to about zero mean and unit variance: constants, not fitted to data
CENTRE, SPREAD = -3.0, 4.0
FLOOR = 1e-6
FOLDS = (1, 2, 3, 4, 5)
CLASSES = {
    0: "dog",
    1: "rooster",
    10: "rain",
    11: "sea_waves",
    12: "crackling_fire",
    20: "crying_baby",
    21: "sneezing",
    38: "clock_tick",
    40: "helicopter",
    41: "chainsaw",
}
CLASS_NAMES = tuple(CLASSES.values())
NEXT_STEP = (
    "pass --data DIR, a folder with esc50.csv (or meta/esc50.csv) and audio/: "
    "`git clone https://github.com/karolpiczak/ESC-50` makes one"
)

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Clips:
    """`x` float32 (clip, 1, band, frame); `y` class 0..9, `fold` 1..5, `source` a number for each
    original recording, `names` the files, all (clip,)."""

    x: Floats
    y: Integers
    fold: Integers
    source: Integers
    names: tuple[str, ...]

    def rows(self, mask: npt.NDArray[Any]) -> "Clips":
        """The clips where `mask` is true."""
        names = tuple(n for n, keep in zip(self.names, mask, strict=True) if keep)
        return Clips(self.x[mask], self.y[mask], self.fold[mask], self.source[mask], names)


def load_clips(
    data: Path, cache: Path | None = None, fold: int | None = None, count: int | None = None
) -> Clips:
    """The ESC-10 clips below `data`; features are kept in the folder `cache`.

    `fold` takes that fold only, `count` that many clips, from every class in turn. `data` holds
    esc50.csv or meta/esc50.csv, and the files it names in audio/ (any rate; resampled to 16 kHz).
    Raises BadInput with the next step when something is missing.
    """
    files, clips = _listed(data, fold, count)
    return replace(clips, x=_cached(files, cache))


def load_sound(data: Path, fold: int | None = None, count: int | None = None) -> Clips:
    """As `load_clips`, but `x` is the sound itself: float32 (clip, 1, CLIP_SAMPLES, 1) in [-1, 1),
    cut or zero-padded to five seconds, and nothing is kept.
    """
    files, clips = _listed(data, fold, count)
    return replace(clips, x=np.stack([_cut(read_clip(file)) for file in files])[:, None, :, None])


def _listed(data: Path, fold: int | None, count: int | None) -> tuple[list[Path], Clips]:
    """The files, and all that is known of them but `x`."""
    rows = _metadata(data)
    if fold is not None:
        rows = [row for row in rows if int(row["fold"]) == fold]
    rows = _in_turn(rows)[:count]
    y = np.array([list(CLASSES).index(int(r["target"])) for r in rows], np.int64)
    folds = np.array([int(r["fold"]) for r in rows], np.int64)
    source = np.array([int(r["src_file"]) for r in rows], np.int64)
    names = tuple(r["filename"] for r in rows)
    files = [data / "audio" / name for name in names]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise BadInput(f"{missing[0]} and {len(missing) - 1} more are missing; {NEXT_STEP}")
    return files, Clips(np.zeros(0, np.float32), y, folds, source, names)


def _cut(samples: npt.NDArray[np.float64]) -> Floats:
    """Five seconds, zeros behind what is shorter."""
    clip = np.zeros(CLIP_SAMPLES, np.float32)
    clip[: len(samples)] = samples[:CLIP_SAMPLES]
    return clip


def log_mel(samples: npt.NDArray[np.float64]) -> Floats:
    """float32 (1, BANDS, FRAMES) from one clip at 16 kHz, cut or zero-padded to five seconds."""
    clip = np.zeros(CLIP_SAMPLES)
    clip[: len(samples)] = samples[:CLIP_SAMPLES]
    frames = np.lib.stride_tricks.sliding_window_view(clip, WINDOW)[::HOP]
    window = scipy.signal.get_window("hann", WINDOW)
    power = np.abs(np.fft.rfft(frames * window, FFT)) ** 2  # (window, bin)
    mel = power[: FRAMES * AVERAGED_WINDOWS] @ mel_filters().T
    mel = mel.reshape(FRAMES, AVERAGED_WINDOWS, BANDS).mean(axis=1)
    return ((np.log(mel + FLOOR) - CENTRE) / SPREAD).T[None].astype(np.float32)


def mel_filters() -> npt.NDArray[np.float64]:
    """Triangles (BANDS, FFT // 2 + 1), evenly spaced in mel = 2595 log10(1 + f / 700)."""
    low, high = (2595 * np.log10(1 + f / 700) for f in (LOW_HZ, HIGH_HZ))
    corners = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    bins = np.arange(FFT // 2 + 1) * SAMPLE_RATE_HZ / FFT
    left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return np.maximum(0.0, np.minimum(rising, falling))


def read_clip(path: Path) -> npt.NDArray[np.float64]:
    """Mono samples at 16 kHz; BadInput for a file that is no audio."""
    try:
        samples, rate = soundfile.read(path, always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise BadInput(f"{path} cannot be read as audio ({error}); fetch it again") from None
    mono = samples.mean(axis=1)
    if rate == SAMPLE_RATE_HZ:
        return np.asarray(mono)
    common = gcd(rate, SAMPLE_RATE_HZ)
    resampled = scipy.signal.resample_poly(mono, SAMPLE_RATE_HZ // common, rate // common)
    return np.asarray(resampled)


def _metadata(data: Path) -> list[dict[str, str]]:
    """The ESC-10 rows of esc50.csv."""
    for path in (data / "esc50.csv", data / "meta" / "esc50.csv"):
        if path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            rows = [row for row in csv.DictReader(lines) if row.get("esc10") == "True"]
            if not rows or not {"filename", "fold", "target", "src_file"} <= rows[0].keys():
                raise BadInput(f"{path} lists no ESC-10 clips; {NEXT_STEP}")
            return rows
    raise BadInput(f"{data} holds no ESC-10 data set; {NEXT_STEP}")


def _in_turn(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The first clip of every class, then the second of every class, and so on."""
    seen: Counter[str] = Counter()
    turns = []
    for row in sorted(rows, key=lambda row: row["filename"]):
        turns.append((seen[row["target"]], int(row["target"]), row))
        seen[row["target"]] += 1
    return [row for _, _, row in sorted(turns, key=lambda turn: turn[:2])]


def _cached(files: list[Path], cache: Path | None) -> Floats:
    """Features of `files`, from the cache when names, sizes and this module are the same."""
    key = hashlib.sha256(Path(__file__).read_bytes())
    key.update(repr([(file.name, file.stat().st_size) for file in files]).encode())
    path = None if cache is None else cache / f"features-{key.hexdigest()[:16]}.npy"
    if path is not None and path.is_file():
        stored: Floats = np.load(path, allow_pickle=False)
        return stored
    x = np.stack([log_mel(read_clip(file)) for file in files])
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.save(file, x)
        partial.rename(path)
    return x
