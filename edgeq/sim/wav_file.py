"""A WAV file as what a board's microphone hears, and how much of it was heard."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from edgeq.errors import BadInput
from edgeq.sim.sampling import Samples, Sound
from edgeq.sound import FULL_SCALE, read_wav

# families whose models have a converter (edgeq/sim/families)
EARS = ("nrf52", "stm32f4", "stm32l4")


class Playback:
    """A sound that knows how far it was heard. `said`: what became of the file."""

    def __init__(self, sound: Sound, said: tuple[str, ...] = ()) -> None:
        self.sound, self.said = sound, said
        self._reached = Fraction(0)

    @classmethod
    def of(cls, path: Path, board: str, family: str) -> "Playback":
        """A WAV file at its own rate, for a board of `family`.

        Raises BadInput for a board whose microphone has no model and for what is no WAV file,
        Toolchain without scipy.
        """
        if family not in EARS:
            raise BadInput(
                f"--sound: no microphone of {board} is modelled (its port is {family!r}); there is "
                f"for {', '.join(EARS)}"
            )
        given = read_wav(path)
        samples = np.round(given.samples * FULL_SCALE).astype(np.int16)
        return cls(Sound(samples, given.rate_hz), given.said)

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.sound.samples) / self.sound.rate_hz

    @property
    def heard_s(self) -> float:
        """What of it a converter has taken, at most all."""
        return min(self.seconds, float(self._reached))

    def heard(self, first: int, count: int, period_s: Fraction) -> Samples:
        """As `Sound.heard`."""
        self._reached = max(self._reached, (first + count) * period_s)
        return self.sound.heard(first, count, period_s)
