"""WAV files from strangers as the sound that a model takes: one channel, at its rate."""

import io
import math
import stat
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgeq.errors import BadInput
from edgeq.extras import needs

MAX_FILE_BYTES = 1 << 30
MOST_SAMPLES = 1 << 29  # after conversion: nine hours at 16 kHz
RATES_HZ = (1_000, 768_000)
MOST_CHANNELS = 64
FULL_SCALE = 1 << 15
# What scipy's reader raises on damage, beside ValueError: it trusts the header's sizes.
_DAMAGE = (ValueError, TypeError, ArithmeticError, LookupError, NameError, struct.error, EOFError)
_NEXT = "give a WAV file of 8 to 32 bits or floats, as `ffmpeg -i IN -c:a pcm_s16le OUT.wav` writes"


@dataclass(frozen=True)
class Sound:
    """`samples` (n,) float32 in [-1, 1), whole 32768ths, at `rate_hz`; `said`: what was changed."""

    samples: npt.NDArray[np.float32]
    rate_hz: int
    said: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate_hz


@needs("sound", "reading a WAV file")
def read_wav(path: Path, rate_hz: int | None = None) -> Sound:
    """A WAV file of any rate and channel count (scipy.io.wavfile: 8 to 64 bits or floats) as sound
    at `rate_hz`: its channels averaged, then resampled by scipy's polyphase filter; None keeps its
    own rate.

    Raises BadInput for what is none, is damaged, empty, not finite or too long; Toolchain without
    scipy.
    """
    own_hz, given, said = _decoded(path)
    rate_hz = own_hz if rate_hz is None else rate_hz
    samples: npt.NDArray[np.floating] = _real(given, path)
    if samples.ndim > 1:
        said.append(f"{samples.shape[1]} channels averaged to one")
        samples = samples.mean(axis=1, dtype=np.float32)
    if len(samples) * rate_hz > MOST_SAMPLES * own_hz:
        hours = MOST_SAMPLES / rate_hz / 3600
        raise BadInput(f"{path} is longer than {hours:.1f} hours at {rate_hz:,} Hz; cut it")
    if own_hz != rate_hz:
        from scipy.signal import resample_poly

        said.append(f"{own_hz:,} Hz resampled to {rate_hz:,} Hz")
        common = math.gcd(own_hz, rate_hz)
        samples = resample_poly(samples, rate_hz // common, own_hz // common)
    steps = np.round(samples * FULL_SCALE)
    beyond = int(((steps < -FULL_SCALE) | (steps >= FULL_SCALE)).sum())
    if beyond:
        said.append(f"{beyond:,} samples beyond full scale clipped")
    steps = np.clip(steps, -FULL_SCALE, FULL_SCALE - 1) / FULL_SCALE
    return Sound(steps.astype(np.float32), rate_hz, tuple(said))


def _decoded(path: Path) -> tuple[int, npt.NDArray[np.generic], list[str]]:
    """(rate, samples (n,) or (n, channels) as they are stored, what is odd about the file)."""
    from scipy.io import wavfile

    data = _bytes(path)
    try:
        with warnings.catch_warnings(record=True) as odd:
            warnings.simplefilter("always")
            rate, samples = wavfile.read(io.BytesIO(data))
    except MemoryError:
        raise BadInput(f"{path} is too large for this computer's memory; cut it") from None
    except _DAMAGE as error:
        raise BadInput(f"{path} is no WAV file that can be read ({error}); {_NEXT}") from None
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    if not RATES_HZ[0] <= rate <= RATES_HZ[1] or channels > MOST_CHANNELS:
        raise BadInput(
            f"{path} claims {channels:,} channels at {rate:,} Hz; up to {MOST_CHANNELS} at "
            f"{RATES_HZ[0]:,} to {RATES_HZ[1]:,} Hz are read"
        )
    if samples.size == 0:
        raise BadInput(f"{path} holds no samples; {_NEXT}")
    return int(rate), samples, [_cut(str(each.message)) for each in odd]


def _bytes(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a FIFO would block for ever
            raise BadInput(f"{path} is no regular file; {_NEXT}")
        if status.st_size > MAX_FILE_BYTES:
            raise BadInput(
                f"{path} has {status.st_size:,} bytes, at most {MAX_FILE_BYTES:,} are read; cut it"
            )
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; {_NEXT}") from None
    except ValueError as error:  # a NUL in the name
        raise BadInput(f"{str(path)!r}: {error}; {_NEXT}") from None


def _cut(warning: str) -> str:
    """What scipy's reader warns of, in a line."""
    if "prematurely" in warning:
        return "the file ends before its header says; what is there is heard"
    return "parts of the file that are no sound are left away"


def _real(given: npt.NDArray[np.generic], path: Path) -> npt.NDArray[np.float32]:
    """Stored samples in [-1, 1): bytes are unsigned, longer ones fill their type from the top."""
    kind = given.dtype
    if kind.kind == "u":
        return (given.astype(np.float32) - np.float32(128)) / np.float32(128)
    if kind.kind == "i":
        return given.astype(np.float32) / np.float32(2.0 ** (8 * kind.itemsize - 1))
    with np.errstate(over="ignore"):
        samples = given.astype(np.float32)
    if not np.isfinite(samples).all():
        raise BadInput(f"{path} holds NaN or infinite samples; {_NEXT}")
    return samples
