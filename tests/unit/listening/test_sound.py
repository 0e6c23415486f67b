"""WAV files: every form becomes the same sound, hostile ones become one clear error."""

import contextlib
import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from edgeq import sound
from edgeq.errors import BadInput
from edgeq.sound import FULL_SCALE, read_wav

RATE = 8000
STEPS = np.array([-(2**15), -1, 0, 1, 2**15 - 1, 300, -300], np.int16)


def saved(folder: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    wavfile.write(folder / "x.wav", rate, samples)
    return folder / "x.wav"


def packed_24(steps: np.ndarray) -> bytes:
    """A PCM file of 24 bits by hand: scipy writes none."""
    data = b"".join(struct.pack("<i", int(s) << 16)[1:] for s in steps)
    head = struct.pack("<HHIIHH", 1, 1, RATE, RATE * 3, 3, 24)
    body = b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", len(data))
    pad = b"\0" * (len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(body) + len(data) + len(pad)) + body + data + pad


@pytest.mark.parametrize(
    "stored",
    [
        STEPS,
        STEPS.astype(np.int32) << 16,
        STEPS.astype(np.float32) / FULL_SCALE,
        STEPS.astype(np.float64) / FULL_SCALE,
        np.stack([STEPS, STEPS], axis=1),
    ],
    ids=lambda x: f"{x.dtype} {x.shape}",
)
def test_every_form_is_the_same_sound(stored: np.ndarray, tmp_path: Path) -> None:
    heard = read_wav(saved(tmp_path, stored), RATE)
    np.testing.assert_array_equal(heard.samples * FULL_SCALE, STEPS)
    assert heard.samples.dtype == np.float32
    assert heard.said == (("2 channels averaged to one",) if stored.ndim > 1 else ())
    assert heard.seconds == len(STEPS) / RATE


def test_24_bits_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(packed_24(STEPS))
    np.testing.assert_array_equal(read_wav(tmp_path / "x.wav", RATE).samples * FULL_SCALE, STEPS)
    heard = read_wav(saved(tmp_path, np.array([0, 128, 255], np.uint8)), RATE)
    np.testing.assert_array_equal(heard.samples, [-1, 0, 127 / 128])


def test_a_tone_keeps_its_pitch_at_another_rate(tmp_path: Path) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(44_100) / 44_100)
    heard = read_wav(saved(tmp_path, tone.astype(np.float32), 44_100), RATE)
    assert heard.said == ("44,100 Hz resampled to 8,000 Hz",)
    assert len(heard.samples) == RATE
    wanted = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    np.testing.assert_allclose(heard.samples[200:-200], wanted[200:-200], atol=2e-3)


def test_what_is_too_loud_is_clipped_and_told(tmp_path: Path) -> None:
    heard = read_wav(saved(tmp_path, np.array([2.0, -2.0, 0.25], np.float32)), RATE)
    np.testing.assert_array_equal(heard.samples * FULL_SCALE, [2**15 - 1, -(2**15), 2**13])
    assert heard.said == ("2 samples beyond full scale clipped",)


def test_a_file_that_is_cut_is_heard_as_far_as_it_goes(tmp_path: Path) -> None:
    path = saved(tmp_path, STEPS)
    path.write_bytes(path.read_bytes()[:-4])
    heard = read_wav(path, RATE)
    assert len(heard.samples) == len(STEPS) - 2
    assert heard.said == ("the file ends before its header says; what is there is heard",)


@pytest.mark.parametrize(
    ("samples", "rate", "said"),
    [
        (np.zeros(0, np.int16), RATE, "holds no samples"),
        (np.array([np.nan], np.float32), RATE, "NaN or infinite"),
        (np.array([1e39], np.float64), RATE, "NaN or infinite"),
        (STEPS, 10, "1 channels at 10 Hz"),
        (np.zeros((1, 65), np.int16), RATE, "65 channels at 8,000 Hz"),
    ],
)
def test_what_is_no_sound_is_refused(
    samples: np.ndarray, rate: int, said: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=said):
        read_wav(saved(tmp_path, samples, rate), RATE)


def test_what_would_grow_too_long_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, STEPS)
    monkeypatch.setattr(sound, "MOST_SAMPLES", 2 * len(STEPS))
    read_wav(path, 2 * RATE)
    with pytest.raises(BadInput, match="longer than"):
        read_wav(path, 3 * RATE)
    monkeypatch.setattr(sound, "MAX_FILE_BYTES", 8)
    with pytest.raises(BadInput, match="at most 8 are read"):
        read_wav(path, RATE)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, said in (
        (tmp_path / "fifo", "no regular file"),
        (tmp_path, "no regular file"),
        (tmp_path / "absent.wav", "No such file"),
        (Path("a\0b"), "null"),
    ):
        with pytest.raises(BadInput, match=said):
            read_wav(path, RATE)


def whole_file() -> bytes:
    file = io.BytesIO()
    wavfile.write(file, RATE, np.stack([STEPS, STEPS], axis=1))
    return file.getvalue()


@settings(max_examples=150, deadline=None)
@given(
    flips=st.lists(st.tuples(st.integers(0, 71), st.integers(0, 255)), max_size=6),
    keep=st.integers(0, 72),
)
def test_a_damaged_file_is_sound_or_one_error(
    flips: list[tuple[int, int]], keep: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = bytearray(whole_file())
    for at, byte in flips:
        data[at] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.wav"
    path.write_bytes(data[:keep] if keep < len(data) else data)
    with contextlib.suppress(BadInput):
        heard = read_wav(path, RATE)
        assert np.isfinite(heard.samples).all()
        assert len(heard.samples) > 0
