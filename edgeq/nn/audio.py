"""Sound in: the front end that a model which hears begins with."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.ops import log_mel
from edgeq.ops.mel import hann


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
            raise BadInput(f"LogMel: {error}") from None

    @property
    def attrs(self) -> log_mel.LogMel:
        """Those of the op."""
        lengths = self.sample_rate, self.window, self.hop, self.fft, self.mels
        bands = float(self.low_hz), float(self.high_hz)
        scale = float(self.floor), float(self.mean), float(self.std), float(self.preemphasis)
        return log_mel.LogMel(*lengths, *bands, *scale)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, samples) -> (N, mels, frames); (N, 1, samples, 1) -> (N, 1, frames, mels)."""
        sound = x.reshape(len(x), -1)
        before = torch.cat([sound[:, :1], sound[:, :-1]], dim=1)
        frames = (sound - self.preemphasis * before).unfold(1, self.window, self.hop)
        spectrum = torch.fft.rfft(frames * _tensor(hann(self.window), x), self.fft)
        energy = spectrum.abs().square() @ _tensor(self.attrs.filters.T, x)
        made = (torch.log(energy + self.floor) - self.mean) / self.std
        return made.mT if x.dim() == 3 else made[:, None]


def _tensor(values: np.ndarray, like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)


def front_ends(body: nn.Module) -> Iterator[LogMel]:
    """The front ends of a body."""
    return (m for m in body.modules() if isinstance(m, LogMel))
