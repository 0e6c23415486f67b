"""Pcen by hand, what it keeps, and its step: whole sequences in numpy and ONNX."""

from dataclasses import replace

import numpy as np
import pytest

from edgeq.emit.onnx_check import run_onnx
from edgeq.emit.onnx_model import onnx_model
from edgeq.emit.runs import form_ends
from edgeq.errors import UnsupportedOp
from edgeq.ops import log_mel
from edgeq.ops.pcen import Pcen, real
from edgeq.ops.pcen_steps import codes_of, kept_of, power, power_table, smoothed
from edgeq.passes.stream import stream
from edgeq.reference import output_codes, random_rows, real_inputs, run
from edgeq.streaming import check_step
from tests.audio_cases import AUDIO_CASES

NAMED = pytest.mark.parametrize("name", [name for name in AUDIO_CASES if name.startswith("pcen")])


def test_by_hand() -> None:
    """Two frames of one band, 100 and then 400, half of each in the mean."""
    attrs = Pcen(mels=1, smooth=0.5, alpha=1.0, delta=2.0, root=0.5, floor=1e-12)
    made = real(attrs, np.array([[100.0], [400.0]]), 2)[:, 0]
    np.testing.assert_allclose(made, [3**0.5 - 2**0.5, (400 / 250 + 2) ** 0.5 - 2**0.5])


def test_the_loudness_goes() -> None:
    """Ten times the sound hardly changes an answer where alpha is near 1."""
    energies = np.random.default_rng(0).uniform(1, 2, (60, 3))
    attrs = Pcen(mels=3, alpha=1.0)
    np.testing.assert_allclose(
        real(attrs, 100 * energies, 60), real(attrs, energies, 60), atol=1e-5
    )


def test_the_weights_are_the_recursion() -> None:
    attrs, energies = Pcen(smooth=0.3), np.random.default_rng(1).uniform(0, 9, 20)
    kept, made = energies[0], []
    for energy in energies:
        kept = 0.7 * kept + 0.3 * energy
        made.append(kept)
    np.testing.assert_allclose(attrs.weights(20) @ energies, made)


@pytest.mark.parametrize("smooth", [66, 1638, 65535, 65536])
def test_the_smoother_rounds_once(smooth: int) -> None:
    """Against whole numbers of any size; it stays at least 1, and finds a steady energy."""
    rng = np.random.default_rng(smooth)
    before, energy = (2.0 ** rng.uniform(0, 62.9, (2, 500))).astype(np.int64)
    wanted = [
        b + (((e - b) * smooth + 2**15) >> 16)
        for b, e in zip(before.tolist(), energy.tolist(), strict=True)
    ]
    found = smoothed(before, energy, smooth)
    assert found.tolist() == wanted
    assert found.min() >= 1
    np.testing.assert_array_equal(smoothed(before * 0, energy, smooth), energy)
    np.testing.assert_array_equal(smoothed(energy, energy, smooth), energy)


def test_powers() -> None:
    log = np.arange(-40 << 15, 22 << 15, 977)
    found = power(log, power_table()) / 2**30
    np.testing.assert_allclose(found, 2.0 ** (log / 2**15), rtol=2**-14, atol=2**-30)


def test_codes_bring_an_energy_back() -> None:
    kept = np.array([0, 1, 0xFFFF, 0x8000_8000_8000, 2**63 - 1, 3**39], np.int64)
    np.testing.assert_array_equal(kept_of(codes_of(kept)), kept)


@NAMED
def test_a_frame_reads_what_was_heard_alone(name: str) -> None:
    """Sound behind a frame changes none before it; the first frame is that of its samples."""
    graph = AUDIO_CASES[name]()
    attrs = graph.nodes[0].attrs
    x = random_rows(graph, 2, 0)
    x[1] = x[0]
    behind = attrs.window + attrs.hop
    x[1].reshape(-1)[behind:] //= 7
    made = run(graph, x).output.reshape(2, -1, attrs.mels)
    np.testing.assert_array_equal(made[0, :2], made[1, :2])
    assert (made[0, 2:] != made[1, 2:]).any() or attrs.alpha == 1  # which hardly hears it


@NAMED
def test_a_step_is_the_whole_sequence(name: str) -> None:
    """Carried: the window's first answer, then that of ever more frames. Else the window's."""
    graph = AUDIO_CASES[name]()
    attrs = graph.nodes[0].attrs
    for carry in (False, True):
        check = check_step(stream(graph, attrs.hop, carry=carry), graph)
        assert check.passed, check.said
    step = stream(graph, attrs.hop, carry=True)
    assert step.stream is not None
    (node,) = [n for n in step.nodes if n.op == "PcenStep"]
    first = step.stream.first
    x = random_rows(step, first + 9, 2)
    sound = x.reshape(-1)[(first + 1) * attrs.hop - graph.tensors["x"].size :]
    shape = tuple(len(sound) if n > 1 else 1 for n in graph.tensors["x"].shape)
    frames = attrs.frames(len(sound))
    made = tuple(frames if n == attrs.frames(graph.tensors["x"].size) else n for n in _made(graph))
    long = graph.with_tensors(
        {k: replace(graph.tensors[k], shape=s) for k, s in (("x", shape), ("y", made))}
    )
    wanted = run(long, sound.reshape(1, *shape)).output.reshape(frames, attrs.mels)
    answers = run(step, x).output[-1].reshape(-1, attrs.mels)
    np.testing.assert_array_equal(answers, wanted[-len(answers) :])
    assert node.attrs.wait == first + 1 - attrs.frames(graph.tensors["x"].size)


def _made(graph: object) -> tuple[int, ...]:
    return graph.tensors["y"].shape  # type: ignore[attr-defined,no-any-return]


@NAMED
def test_onnx_hands_its_state_on(name: str) -> None:
    """Within a step of the integers at every hop, as sound grows quiet."""
    graph = AUDIO_CASES[name]()
    attrs = graph.nodes[0].attrs
    step = stream(graph, attrs.hop, carry=True)
    loud = np.geomspace(1, 100, 20).reshape(-1, *[1] * len(step.tensors["x"].shape))
    x = (random_rows(step, 20, 1) / loud).astype(np.int16)
    file = onnx_model(step, "t").SerializeToString()
    made = output_codes(step, run_onnx(file, real_inputs(step, x), form_ends(step)).output)
    if not name.endswith("a map"):  # channels first in the file
        made = made.reshape(20, attrs.mels, -1).swapaxes(1, 2)
    away = np.abs(made.reshape(20, -1).astype(int) - run(step, x).output.reshape(20, -1))
    assert away.max() <= 1
    assert np.mean(away == 0) > 0.9


def test_a_hop_between_frames_is_refused() -> None:
    with pytest.raises(UnsupportedOp, match="give a multiple of 256"):
        stream(AUDIO_CASES["pcen"](), 100, carry=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"smooth": 0.0}, "smooth 0; give 0.001 to 1"),
        ({"smooth": 1.1}, "0.001 to 1"),
        ({"alpha": -0.1}, "alpha -0.1; give 0 to 1"),
        ({"alpha": 1.1}, "give 0 to 1"),
        ({"delta": 0.0}, "0.001 to 1000"),
        ({"root": 0.0}, "0.05 to 1"),
        ({"root": 1.5}, "0.05 to 1"),
        ({"fft": 500}, "256, 512, 1024"),
    ],
)
def test_what_has_no_kernel_is_refused(change: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(Pcen(), **change).check()  # type: ignore[arg-type]


def test_energies_leave_room() -> None:
    """The loudest sound's counts, squared by nothing, stay in 63 bits beside the floor."""
    graph = AUDIO_CASES["pcen"]()
    params = {name: graph.param(graph.nodes[0], name) for name in graph.nodes[0].params}
    x = np.resize(np.array([-32768, 32767], np.int16), (1, *graph.tensors["x"].shape))
    assert 0 < log_mel.energies(graph.nodes[0].attrs, x, params).max() < 2**62
