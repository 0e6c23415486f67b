"""LogMel by hand, against floats, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from edgeq.errors import EdgeqError
from edgeq.ir import Quant
from edgeq.ops import OPS
from edgeq.ops import log_mel as op
from edgeq.ops.log_mel import LogMel
from edgeq.ops.log_mel_steps import log2_q15, powers, windowed
from edgeq.ops.mel import half_window, hann, log_table, sines
from edgeq.ops.mfcc import Mfcc
from edgeq.ops.op import Site, quant_of
from edgeq.passes.verify import verify
from edgeq.reference import quantize_rows, run
from tests.audio_cases import AUDIO_CASES, CASES, float_graph, rows_of

NAMED = pytest.mark.parametrize("name", CASES)


def test_a_tone_by_hand() -> None:
    """Amplitude A at a bin's middle: |X| is A window / 4 there and half of that beside it."""
    attrs = LogMel(window=512, hop=512, fft=512, floor=1e-12)
    tone = 0.5 * np.sin(2 * np.pi * 64 * np.arange(512) / 512)
    made = OPS["LogMel"].float_forward(attrs, (tone.reshape(1, 1, 512, 1),), {})
    peak = (0.5 * 512 / 4) ** 2
    energy = attrs.filters @ np.where(abs(np.arange(257) - 64) == 1, peak / 4, 0)
    energy += attrs.filters[:, 64] * peak
    heard = energy > 1
    np.testing.assert_allclose(made[0, 0, 0, heard], np.log(energy[heard]), atol=1e-4)
    assert heard.sum() >= 1
    assert made.max() == made[0, 0, 0, heard].max()


@pytest.mark.parametrize("fft", op.FFTS)
def test_the_transform_is_that_of_floats(fft: int) -> None:
    """Over 140 dB: what a tone leaks into the other bins is below the rounding of its powers."""
    time = np.arange(fft)
    sound = np.round(32_000 * np.sin(2 * np.pi * 20.3 * time / fft)).astype(np.int16)
    weighted = windowed(sound[None], half_window(fft), 0)
    wanted = np.abs(np.fft.rfft(sound * hann(fft)) * 2.0**13 * 2 / fft) ** 2 / 16
    found = powers(weighted, sines(fft), fft)[0]
    np.testing.assert_allclose(np.sqrt(found), np.sqrt(wanted), atol=3, rtol=1e-6)


@pytest.mark.parametrize("fft", op.FFTS)
@pytest.mark.parametrize("preemphasis", [0, 32767])
def test_the_loudest_sounds_stay_inside(fft: int, preemphasis: int) -> None:
    """A pair below 1.42 * 2^29, and no modulus of the transform above it."""
    rng, ends = np.random.default_rng(0), np.array([-32768, 32767])
    sounds = np.stack([rng.choice(ends, fft), np.resize(ends, fft), np.full(fft, -32768)])
    weighted = windowed(sounds.astype(np.int16), half_window(fft), preemphasis)
    assert np.abs(weighted).max() <= 2**29
    power = powers(weighted, sines(fft), fft)
    assert 2**40 < power.max() < 2**57


def test_the_logarithm() -> None:
    x = np.array([1, 2, 3, 1000, 2**31 - 1, 2**32, 3 * 2**40, 2**62, 2**63 - 1], np.int64)
    found = log2_q15(x, log_table()) / 2**15
    np.testing.assert_allclose(found, np.log2(x.astype(float)), atol=1.5e-4)
    assert found[[0, 1, 5]].tolist() == [0, 1, 32]


@NAMED
def test_the_integers_are_the_floats_rounded(name: str) -> None:
    """On noise and tones: never two steps away, and the nearest step nearly everywhere."""
    graph, x = AUDIO_CASES[name](), rows_of(name)
    quant = quant_of(graph.tensors["y"])
    real = OPS[graph.nodes[0].op].float_forward(CASES[name][0], (x,), {})
    wanted = np.clip(np.round(real / quant.per_tensor) + quant.zero_point, -128, 127)
    away = np.abs(run(graph, quantize_rows(graph, x)).values["y"] - wanted)
    assert away.max() <= 1
    assert np.mean(away == 0) > 0.9


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("mfcc")])
def test_coefficients_before_rounding(name: str) -> None:
    """What docs/audio.md says, std 1: the logarithms', of rows of unit length."""
    graph, x = AUDIO_CASES[name](), rows_of(name)
    attrs, params = CASES[name][0], Site(graph, graph.nodes[0]).params
    sums = op.logs(attrs, quantize_rows(graph, x), params) @ params["cosines"].astype(np.int64).T
    real = op.float_logs(attrs, x) @ attrs.cosines.T * attrs.std  # type: ignore[attr-defined]
    np.testing.assert_allclose(sums * np.log(2) / 2**30, real, atol=0.01)


def test_a_cosine_in_mel_is_one_coefficient() -> None:
    """By hand: the rows are orthonormal, and number 0 is the mean times the root of the bands."""
    cosines = Mfcc(mels=24, coefficients=24).cosines
    np.testing.assert_allclose(cosines @ cosines.T, np.eye(24), atol=1e-12)
    np.testing.assert_allclose(cosines[0], 1 / np.sqrt(24))
    assert np.argmax(np.abs(cosines @ np.cos(np.pi * 3 * (np.arange(24) + 0.5) / 24))) == 3


@pytest.mark.parametrize("coefficients", [0, 41])
def test_as_many_coefficients_as_bands(coefficients: int) -> None:
    with pytest.raises(ValueError, match="give 1 to the mels, 40"):
        Mfcc(coefficients=coefficients).check()


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("pcen")])
def test_frames_are_by_themselves(name: str) -> None:
    """A frame's answer is that of its samples alone."""
    graph, (attrs, samples, _) = AUDIO_CASES[name](), CASES[name]
    x = quantize_rows(graph, rows_of(name, 2))
    whole = run(graph, x).values["y"].reshape(2, -1, attrs.features)
    last = (attrs.frames(samples) - 1) * attrs.hop
    moved = np.roll(x.reshape(2, -1), -last, axis=1).reshape(x.shape)
    first = run(graph, moved).values["y"].reshape(2, -1, attrs.features)
    np.testing.assert_array_equal(first[:, 0], whole[:, -1])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fft": 500}, "256, 512, 1024"),
        ({"window": 513}, "an even 2 to 512"),
        ({"window": 600}, "an even 2 to 512"),
        ({"hop": 0}, "1 to the window, 512"),
        ({"hop": 513}, "1 to the window, 512"),
        ({"mels": 0}, "1 to 128"),
        ({"mels": 128}, "holds no bin"),
        ({"high_hz": 9000.0}, "half the sample rate"),
        ({"low_hz": 8000.0}, "low < high"),
        ({"sample_rate_hz": 10}, "1000 to 192000"),
        ({"floor": 0.0}, "1e-12 to 1e4"),
        ({"mean": 101.0}, "1e-3 to 1e3"),
        ({"std": 0.0}, "1e-3 to 1e3"),
        ({"preemphasis": 1.0}, "0 to below 1"),
    ],
)
def test_what_has_no_kernel_is_refused(change: dict[str, float], said: str) -> None:
    attrs = replace(LogMel(), **change)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=said):
        attrs.check()


@pytest.mark.parametrize("shape", [(1, 500, 1), (2, 600, 1), (1, 600, 2), (600,)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"window of 512|one channel"):
        OPS["LogMel"].result_shape(LogMel(), (shape,), {})


def test_int8_sound_is_refused() -> None:
    """What another layer reads too is no sound."""
    graph = AUDIO_CASES["log mel of 512"]()
    wrong = replace(graph.tensors["x"], quant=Quant((0.1,), 3))
    with pytest.raises(EdgeqError, match="zero point"):
        verify(graph.with_tensors({"x": wrong}), "lowered")


def test_a_float_graph_says_that_it_is_sound() -> None:
    assert float_graph("log mel of 512").tensors["x"].dtype == "int16"
