"""Sound in on the twins: what timers, converters and DMA do, and what they refuse."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.sim.sampling import Sampler, Sound
from tests.unit.sim.test_families import Board, f446

CLOCKS = {"x40021048": 5, "x4002104C": 1 << 13, "x40021058": 1 << 4}
POWERED, ENABLED = 1 << 28, 1 << 28 | 1


def board(**more: int) -> Board:
    made = Board("nucleo_l4r5zi")
    made.set(**CLOCKS)
    made.set(**more)
    return made


def test_without_their_clocks_they_do_not_answer():
    for address, name in (
        ("x40001000", "TIM6"), ("x40020008", "DMA1"), ("x40020800", "DMAMUX1"),
        ("x50040008", "ADC1"),
    ):  # fmt: skip
        bare = Board("nucleo_l4r5zi")
        bare.set(**{address: 1})
        assert f"{name} has no clock" in bare.refused[0]


@pytest.mark.parametrize(
    ("writes", "said"),
    [
        ({"x50040008": 1}, "without its regulator"),
        ({"x50040008": ENABLED}, "without a clock"),
        ({"x50040308": 3 << 16, "x50040008": POWERED | 4}, "before it is enabled"),
        ({"x50040308": 3 << 16, "x50040008": ENABLED, "x50040008_": ENABLED | 4},
         "without a trigger"),
        ({"x5004000C": 1 << 13}, "another mode"),
        ({"x50040010": 1}, "another oversampling"),
        ({"x50040030": 1}, "several channels"),
        ({"x50040004": 1}, "interrupts"),
        ({"x40020008": 1}, "another transfer"),
        ({"x40020800": 1 << 16 | 5}, "more than a request"),
        ({"x4000100C": 1}, "interrupts or DMA"),
        ({"x40001000": 8}, "a mode"),
    ],
)  # fmt: skip
def test_what_is_not_modelled_is_refused(writes, said):
    assert said in board(**writes).refused[0]


def test_the_counter_of_the_timer_is_refused():
    made = board()
    made.get(0x40001024)
    assert "the counter of TIM6" in made.refused[0]


@pytest.mark.parametrize(
    ("writes", "said"),
    [
        ({"x40012004": 1 << 5}, "interrupts"),
        ({"x40012008": 2}, "another mode"),
        ({"x4001202C": 1 << 20}, "several channels"),
        ({"x40026410": 1}, "DMA2 for another transfer"),
        ({"x4000040C": 1}, "TIM3 for interrupts or DMA"),
    ],
)
def test_what_is_not_modelled_on_the_f4_is_refused(writes, said):
    made = Board("nucleo_f446re")
    made.set(x40023830=1 << 22, x40023840=1 << 1, x40023844=1 << 8)
    made.set(**writes)
    assert said in made.refused[0]


def test_an_adc_of_the_f4_that_is_clocked_too_fast_is_told():
    made = f446()
    made.set(x40023844=1 << 8, x40012008=1)
    assert "clocks ADC1 at 45000000 Hz" in made.refused[0]
    made = f446()
    made.set(x40023844=1 << 8, x40012304=1 << 16, x40012008=1)
    assert made.refused == []


@pytest.mark.parametrize(
    ("writes", "said"),
    [
        ({"x4001D508": 0}, "stereo"),
        ({"x4001D518": 0}, "another gain"),
        ({"x4001D000": 1}, "a clock that is not modelled"),
        ({"x4001D504": 0x0A000000, "x4001D000": 1}, "before it is enabled"),
        ({"x4001D504": 0x0A000000, "x4001D500": 1, "x4001D540": 30, "x50000518": 1 << 30,
          "x4001D000": 1}, "no samples"),
    ],
)  # fmt: skip
def test_pdm_refuses_what_is_not_modelled(writes, said):
    made = Board("nrf52840dk")
    made.set(**writes)
    assert said in made.refused[0]


@given(st.integers(1, 50), st.fractions(1, 40, max_denominator=9), st.lists(st.integers(0, 900)))
def test_however_time_passes_each_sample_is_taken_once_and_in_its_place(room, period, looks):
    sound = np.arange(2000).astype(np.int16)
    taken: list[int] = []

    def left() -> int:
        return room - len(taken) % room

    sampler = Sampler(
        lambda: Sound(sound, 1), lambda: 1, left, lambda samples: taken.extend(samples.tolist())
    )
    sampler.start(0, period)
    now = 0
    for now in sorted(looks):
        sampler.advance(now)
        assert len(taken) == int(now / period)
        due = sampler.due()
        assert due is not None
        assert due > now
        assert int(Fraction(due) / period) - len(taken) >= left()
    assert taken == [int(sound[int(n * period)]) for n in range(len(taken))]
    sampler.stop()
    sampler.advance(now + 1000)
    assert len(taken) == int(now / period)
