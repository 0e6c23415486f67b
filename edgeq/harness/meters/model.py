"""The model meter: no instrument, but a board file's energy per cycle. Always "modelled".

Its markers are exact and its samples are one a span: the current of an inference is what draws
cycles x nj_per_cycle in the time the cycles take; idling draws idle_w, or nothing where the board
file gives none. It lets the whole path of a measurement run without hardware.
"""

from edgeq.errors import BadInput
from edgeq.harness.energy import EnergyModel, modelled_energy
from edgeq.harness.meters.meter import MeterRequest, Recording, Work, now
from edgeq.harness.power_trace import PowerTrace

TITLE = "model"
RATE_HZ = 100_000


def open_model(request: MeterRequest) -> "ModelMeter":
    """Raises BadInput for a board without energy figures, or for options only a meter has."""
    board = request.board
    if board is None or board.energy is None:
        name = board.name if board else "this board"
        raise BadInput(f"the board file of {name} has no energy figures to model with")
    figures = board.energy
    if request.volts is not None and request.volts != figures.volts:
        raise BadInput(
            f"the figures of {board.name} hold at {figures.volts} V; measure other volts with a "
            "real --meter"
        )
    model = EnergyModel(figures.nj_per_cycle, band=0, idle_w=figures.idle_w or 0)
    return ModelMeter(model, figures.volts, request.clock_hz or board.clock_hz)


class ModelMeter:
    """Draws what the model says of the cycles that `Session.ran` tells."""

    title = TITLE

    def __init__(self, model: EnergyModel, volts: float, clock_hz: int) -> None:
        self._model, self._volts, self._clock_hz = model, volts, clock_hz

    def capture(self, work: Work) -> PowerTrace:
        """Records while `work` runs."""
        session = _Session(self._model, self._volts, self._clock_hz)
        started = now()
        work(session)
        return session.recording.trace(TITLE, started)

    def close(self) -> None:
        """Nothing to let go of."""


class _Session:
    def __init__(self, model: EnergyModel, volts: float, clock_hz: int) -> None:
        self._model, self._volts, self._clock_hz = model, volts, clock_hz
        self.recording = Recording(RATE_HZ, levels=True)

    def seconds(self) -> float:
        return self.recording.samples / RATE_HZ

    def wait(self, seconds: float) -> None:
        samples = max(1, round(seconds * RATE_HZ))
        self._draw(samples, self._model.idle_w * samples / RATE_HZ)

    def ran(self, cycles: int) -> None:
        """The energy is exact; the time is rounded to whole samples."""
        rises = self.recording.rises
        assert rises is not None
        rises.append(self.recording.samples)
        samples = max(1, round(cycles * RATE_HZ / self._clock_hz))
        self._draw(samples, modelled_energy(cycles, self._model).joules)
        self.recording.falls.append(self.recording.samples)
        self._draw(1, self._model.idle_w / RATE_HZ)

    def _draw(self, samples: int, joules: float) -> None:
        amps = joules * RATE_HZ / samples / self._volts
        self.recording.add([amps] * samples, self._volts)
