"""The capture drivers on their twins: DMA, half and full interrupts, sleep, counted overruns."""

from pathlib import Path

import numpy as np
import pytest

from edgeq.board import load_board
from edgeq.errors import BadInput
from edgeq.firmware_project import FirmwareProject
from edgeq.sim import Machine, MachineConfig
from edgeq.sim.sampling import Sound
from edgeq.toolchain import build, find_compiler, that_captures, with_board
from tests.hang import HANG_S

MAIN = (Path(__file__).parent / "capture_main.c").read_bytes()
RATE, FRAMES, SAMPLES = 16_000, 12, 32
NONE = 1 << 30  # no frame is slow
STEPS = {  # of the converter, in codes of int16
    "nucleo_l4r5zi": 16, "nucleo_f446re": 16, "nucleo_f401re": 16, "nrf52840dk": 1,
}  # fmt: skip
BOARDS = tuple(STEPS)


@pytest.fixture(scope="module", params=BOARDS)
def elf(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    board = that_captures(load_board(request.param))
    project = with_board(FirmwareProject({"main.c": MAIN}), board)
    folder = tmp_path_factory.mktemp(board.name)
    return board.name, build(project, board, find_compiler("auto"), folder).elf


def sound() -> Sound:
    rng = np.random.default_rng(3)
    return Sound(rng.integers(-(2**15), 2**15, 30 * SAMPLES).astype(np.int16), RATE)


class Heard:
    """One run; a slow frame takes `frames` frames' time more."""

    def __init__(
        self, elf: tuple[str, Path], slow: int = NONE, frames: float = 0, rate: int = RATE,
        masked: int = 0, **config: object,
    ) -> None:  # fmt: skip
        name, path = elf
        self.board = load_board(name)
        twin = MachineConfig.of(self.board)
        for key, value in config.items():
            object.__setattr__(twin, key, value)
        self.machine = Machine(twin).load(path).hear(sound())
        self.frame_cycles = self.board.clock_hz * SAMPLES // RATE
        for symbol, value in (
            ("rate_hz", rate), ("slow_frame", slow), ("masked", masked),
            ("slow_cycles", int(frames * self.frame_cycles)),
        ):  # fmt: skip
            self.machine.write(self.machine.symbol(symbol), value.to_bytes(4, "little"))
        self.result = self.machine.run("finished", deadline_s=HANG_S, max_cycles=100_000_000)

    def words(self, symbol: str, count: int = 1) -> list[int]:
        data = self.machine.read(self.machine.symbol(symbol), 4 * count)
        return np.frombuffer(data, "<u4").tolist()

    def frames(self) -> np.ndarray:
        data = self.machine.read(self.machine.symbol("frames"), 2 * FRAMES * SAMPLES)
        return np.frombuffer(data, "<i2").reshape(FRAMES, SAMPLES)

    def wanted(self, *frames: int) -> np.ndarray:
        step = STEPS[self.board.name]
        heard = sound().samples.reshape(-1, SAMPLES)[list(frames)].astype(int)
        return heard // step * step


def test_every_sample_comes_once_and_the_core_sleeps_between(elf: tuple[str, Path]) -> None:
    heard = Heard(elf)
    assert heard.result.reason == "until"
    assert heard.words("started") == [1]
    np.testing.assert_array_equal(heard.frames(), heard.wanted(*range(FRAMES)))
    assert heard.words("overruns", FRAMES) == [0] * FRAMES
    slept = heard.machine.profile().functions["(sleep)"]
    rounds = 2 * FRAMES * heard.frame_cycles
    assert 0.9 * rounds < slept < rounds
    assert heard.machine.clock.cycles - slept < 0.1 * rounds
    assert 0 < heard.words("busy")[0] < 0.01 * rounds, "the duty cycle counts no sleep"


def test_one_frame_late_is_made_good(elf: tuple[str, Path]) -> None:
    heard = Heard(elf, slow=3, frames=1.5)
    np.testing.assert_array_equal(heard.frames(), heard.wanted(*range(FRAMES)))
    assert heard.words("overruns", FRAMES) == [0] * FRAMES


@pytest.mark.parametrize(("frames", "lost"), [(2.5, 1), (3.5, 2), (6.25, 5)])
def test_an_overrun_is_counted_and_what_follows_is_whole(
    elf: tuple[str, Path], frames: float, lost: int
) -> None:
    heard = Heard(elf, slow=3, frames=frames)
    assert heard.words("overruns", FRAMES) == [0] * 4 + [lost] * 8
    kept = (*range(4), *range(4 + lost, FRAMES + lost))
    np.testing.assert_array_equal(heard.frames(), heard.wanted(*kept))


def test_interrupts_that_were_missed_are_lost_frames(elf: tuple[str, Path]) -> None:
    """Masked for 2.5 frames: two interrupts at once."""
    heard = Heard(elf, slow=3, frames=2.5, masked=1)
    assert heard.words("overruns", FRAMES) == [0] * 4 + [1] * 8
    first = 4 if elf[0].startswith("nrf") else 5  # whose DMA stays on a half until it is told
    assert heard.frames()[4].tolist() == heard.wanted(first)[0].tolist()
    np.testing.assert_array_equal(heard.frames()[5:], heard.wanted(*range(6, FRAMES + 1)))


def test_a_rate_that_the_board_cannot_make_is_no_start(elf: tuple[str, Path]) -> None:
    for rate in (0, 100, 4_000_000):
        heard = Heard(elf, rate=rate)
        assert (heard.words("started"), heard.words("captured")) == ([0], [0])


def test_other_boards_have_no_driver() -> None:
    with pytest.raises(BadInput, match="no capture driver for rpi_pico"):
        that_captures(load_board("rpi_pico"))


def test_a_converter_that_never_answers_is_no_start(elf: tuple[str, Path]) -> None:
    """The other families' say nothing that a driver could wait for."""
    for flag in ("ADCAL", "ADRDY"):
        started = [0] if elf[0] == "nucleo_l4r5zi" else [1]
        assert Heard(elf, stuck=frozenset({flag})).words("started") == started, flag


def test_two_runs_are_alike_to_the_cycle(elf: tuple[str, Path]) -> None:
    one, two = Heard(elf, slow=3, frames=2.5), Heard(elf, slow=3, frames=2.5)
    assert one.machine.clock.cycles == two.machine.clock.cycles
    assert one.machine.profile() == two.machine.profile()
