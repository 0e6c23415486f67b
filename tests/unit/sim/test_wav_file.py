"""A WAV file at the microphone of a virtual board: what is heard, how much of it, who cannot."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from edgeq import flashers
from edgeq.board import Board, all_boards, load_board
from edgeq.errors import BadInput
from edgeq.flashers.attached import Surroundings
from edgeq.sim import Machine
from edgeq.sim.cores import CORES
from edgeq.sim.families import FAMILIES
from edgeq.sim.wav_file import EARS, Playback
from edgeq.toolchain import Firmware
from tests.hang import HANG_S
from tests.unit.sim import guests

STEPS = np.array([5, -5, 32767, -32768, 0, 7], np.int16)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    wavfile.write(tmp_path / "x.wav", 8000, STEPS)
    return tmp_path / "x.wav"


def test_samples_and_rate_are_the_files_own(wav: Path) -> None:
    played = Playback.of(wav, "nucleo_l4r5zi", "stm32l4")
    assert (played.seconds, played.said) == (6 / 8000, ())
    np.testing.assert_array_equal(played.heard(0, 6, Fraction(1, 8000)), STEPS)
    twice = played.heard(0, 14, Fraction(1, 16_000))  # a converter twice as fast, silence behind
    np.testing.assert_array_equal(twice, [*np.repeat(STEPS, 2), 0, 0])


def test_how_much_was_heard(wav: Path) -> None:
    played = Playback.of(wav, "nucleo_l4r5zi", "stm32l4")
    assert played.heard_s == 0
    played.heard(0, 2, Fraction(1, 8000))
    played.heard(0, 1, Fraction(1, 8000))  # heard again from the beginning
    assert played.heard_s == 2 / 8000
    played.heard(2, 900, Fraction(1, 8000))
    assert played.heard_s == played.seconds


def test_only_a_board_with_ears_takes_a_sound(wav: Path, build, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "edgeq.sim", str(build(guests.ECHO)), "--stdio", "--sound"]
    done = subprocess.run(
        [*line, str(wav)], stdin=subprocess.DEVNULL, capture_output=True, timeout=HANG_S
    )
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"no microphone of virtual_m4 is modelled" in done.stderr
    (tmp_path / "text").write_text("no sound")
    with pytest.raises(BadInput, match="no WAV file"):
        Playback.of(tmp_path / "text", "nucleo_l4r5zi", "stm32l4")


def _devices(board: Board) -> list[object]:
    """What goes on by itself on the board's twin."""
    return Machine(board)._bus._timeline._devices


def test_every_family_with_ears_is_in_the_list() -> None:
    """A family hears where its models put a sampler on the bus."""
    of_family = {b.port.family: b for b in all_boards() if b.core in CORES}
    with_ears = {f for f in FAMILIES if f in of_family and _devices(of_family[f])}
    assert tuple(sorted(with_ears)) == EARS


def flashed(board: str, tool: str, sound: Path) -> str:
    firmware = Firmware(Path("x.elf"), Path("x.bin"), {}, 0, 0, 0, "", "", ())
    found = flashers.flash(firmware, load_board(board), tool, True, Surroundings, sound=sound)
    return json.dumps(found["commands"])


def test_flash_hands_it_on_to_the_twin_alone(wav: Path) -> None:
    assert f"--sound {wav}" in flashed("nucleo_l4r5zi", "virtual", wav)
    with pytest.raises(BadInput, match="--sound is for a virtual board; nucleo_l4r5zi with open"):
        flashed("nucleo_l4r5zi", "openocd", wav)
    with pytest.raises(BadInput, match="no microphone of virtual_m4"):
        flashed("virtual_m4", "virtual", wav)
