"""Sound in: the front end that a model which hears begins with."""

from collections.abc import Iterator
from typing import Any, TypedDict, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.ops import log_mel, mfcc, pcen
from edgeq.ops.mel import hann


class LogMelArguments(TypedDict, total=False):
    """Those of LogMel."""

    sample_rate: int
    window: int
    hop: int
    fft: int
    mels: int
    low_hz: float
    high_hz: float | None
    floor: float
    mean: float
    std: float
    preemphasis: float


class LogMel(nn.Module):
    """Log mel energies of sound at `sample_rate` Hz, in [-1, 1): (N, 1, samples) to (N, mels,
    frames), or (N, 1, samples, 1) to (N, 1, frames, mels), a map.

    A frame is `window` samples, one every `hop`, none beyond the ends: its FFT of `fft` points
    (256, 512 or 1024) under a Hann window, squared, summed in triangles between `low_hz` and
    `high_hz` (None: half the sample rate), and (ln(energy + floor) - mean) / std. `preemphasis` is
    the share of the sample before that is taken away first. A model that begins with it takes
    int16 sound on the device. Raises BadInput for what has no kernel (docs/audio.md).
    """

    def __init__(
        self,
        sample_rate: int = 16_000,
        window: int = 512,
        hop: int = 256,
        fft: int = 512,
        mels: int = 40,
        low_hz: float = 20.0,
        high_hz: float | None = None,
        floor: float = 1e-6,
        mean: float = 0.0,
        std: float = 1.0,
        preemphasis: float = 0.0,
    ) -> None:
        super().__init__()
        self.sample_rate, self.window, self.hop, self.fft = sample_rate, window, hop, fft
        self.mels, self.low_hz, self.floor = mels, low_hz, floor
        self.high_hz = sample_rate / 2 if high_hz is None else high_hz
        self.mean, self.std, self.preemphasis = mean, std, preemphasis
        try:
            self.attrs.check()
        except ValueError as error:
            raise BadInput(f"{type(self).__name__}: {error}") from None

    @property
    def attrs(self) -> log_mel.LogMel:
        """Those of the op."""
        return log_mel.LogMel(**self._numbers)

    @property
    def _numbers(self) -> dict[str, Any]:
        whole = ("window", "hop", "fft", "mels")
        real = ("low_hz", "high_hz", "floor", "mean", "std", "preemphasis")
        numbers = {name: getattr(self, name) for name in whole}
        numbers |= {name: float(getattr(self, name)) for name in real}
        return {"sample_rate_hz": self.sample_rate, **numbers}

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, samples) -> (N, mels, frames); (N, 1, samples, 1) -> (N, 1, frames, mels)."""
        made = self._of_energy(self._energy(x))
        return made.mT if x.dim() == 3 else made[:, None]

    def _energy(self, x: Tensor) -> Tensor:
        """(N, frames, mels)"""
        sound = x.reshape(len(x), -1)
        before = torch.cat([sound[:, :1], sound[:, :-1]], dim=1)
        frames = (sound - self.preemphasis * before).unfold(1, self.window, self.hop)
        spectrum = torch.fft.rfft(frames * _tensor(hann(self.window), x), self.fft)
        energy: Tensor = spectrum.abs().square() @ _tensor(self.attrs.filters.T, x)
        return energy

    def _of_energy(self, energy: Tensor) -> Tensor:
        """(N, frames, features)"""
        return (torch.log(energy + self.floor) - self.mean) / self.std


class MFCC(LogMel):
    """Mel-frequency cepstral coefficients: the orthonormal DCT-II of what LogMel of the same
    arguments gives, the first `coefficients` of it, of which number 0 is loudness. (N, 1, samples)
    to (N, coefficients, frames), or (N, 1, samples, 1) to (N, 1, frames, coefficients).

    Raises BadInput for what has no kernel (docs/audio.md).
    """

    def __init__(self, coefficients: int = 13, **log_mel: Unpack[LogMelArguments]) -> None:
        self.coefficients = coefficients  # first: what follows checks it
        super().__init__(**log_mel)

    @property
    def attrs(self) -> mfcc.Mfcc:
        """Those of the op."""
        return mfcc.Mfcc(**self._numbers, coefficients=self.coefficients)

    def _of_energy(self, energy: Tensor) -> Tensor:
        return super()._of_energy(energy) @ _tensor(self.attrs.cosines.T, energy)


class PCEN(LogMel):
    """Mel energies normalised by what each band was lately (Wang et al., 2017, arXiv 1607.05666),
    instead of their logarithm; the other arguments are LogMel's, `floor` the paper's epsilon.

    M[t] = (1 - smooth) M[t - 1] + smooth E[t], from the first frame's energy on, and
    ((E / (floor + M)^alpha + delta)^root - delta^root - mean) / std. A window begins anew; an
    export with `stream` and `carry` goes on. Raises BadInput for what has no kernel
    (docs/audio.md).
    """

    def __init__(
        self,
        smooth: float = 0.025,
        alpha: float = 0.98,
        delta: float = 2.0,
        root: float = 0.5,
        **log_mel: Unpack[LogMelArguments],
    ) -> None:
        self.smooth, self.alpha, self.delta, self.root = smooth, alpha, delta, root
        super().__init__(**log_mel)

    @property
    def attrs(self) -> pcen.Pcen:
        """Those of the op."""
        return pcen.Pcen(
            **self._numbers,
            smooth=float(self.smooth),
            alpha=float(self.alpha),
            delta=float(self.delta),
            root=float(self.root),
        )

    def _of_energy(self, energy: Tensor) -> Tensor:
        attrs = self.attrs
        kept = _tensor(attrs.weights(energy.shape[1]), energy) @ (energy + self.floor)
        made = (energy / kept**self.alpha + self.delta) ** self.root
        return (made - attrs.lift - self.mean) / self.std


def _tensor(values: np.ndarray, like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)


def front_ends(body: nn.Module) -> Iterator[LogMel]:
    """The front ends of a body."""
    return (m for m in body.modules() if isinstance(m, LogMel))
