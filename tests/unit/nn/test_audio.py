"""nn.LogMel: the op in PyTorch, in the model file, and its place in a model."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import edgeq
from edgeq import nn
from edgeq.emit.onnx_model import onnx_model
from edgeq.errors import BadInput, UnsupportedOp
from edgeq.ops import OPS
from edgeq.ops.op import quant_of
from edgeq.reference import quantize_rows, real_outputs, run
from tests.audio_cases import AUDIO_CASES, CASES, rows_of
from tests.pages import run_page

LAYERS = {"LogMel": nn.LogMel, "Mfcc": nn.MFCC, "Pcen": nn.PCEN}
SAMPLES = 512 + 256 * 7


def sound(rows: int = 24, samples: int = SAMPLES) -> np.ndarray:
    rng = np.random.default_rng(2)
    loud = rng.uniform(0.001, 0.3, (rows, 1, 1))
    return (rng.normal(size=(rows, 1, samples)) * loud).clip(-1, 1).astype(np.float32)


def listener(**kwargs: float) -> nn.Model:
    torch.manual_seed(0)
    ears = nn.LogMel(mels=20, mean=-3.0, std=4.0, **kwargs)  # type: ignore[arg-type]
    body = nn.Sequential(ears, nn.Conv1d(20, 8, 3, 8), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3, 8))
    return nn.Model(body, (1, SAMPLES), name="ears", calibration=sound())


@pytest.mark.parametrize("name", CASES)
def test_the_layer_is_the_op(name: str) -> None:
    a, _, as_map = CASES[name]
    given = {"sample_rate" if n == "sample_rate_hz" else n: v for n, v in vars(a).items()}
    layer = LAYERS[type(a).__name__](**given)
    x = rows_of(name)  # channels last
    sound = torch.from_numpy(x).permute(0, 3, 1, 2)
    made = layer(sound if as_map else sound[:, :, 0])
    made = made.permute(0, 2, 3, 1) if as_map else made.mT[:, None]
    wanted = OPS[type(a).__name__].float_forward(a, (x,), {})
    np.testing.assert_allclose(made.numpy(), wanted, atol=2e-3)


def test_a_file_brings_it_back(tmp_path: Path) -> None:
    model = listener(preemphasis=0.9)
    edgeq.save(model, tmp_path / "ears.pt")
    again = nn.load(tmp_path / "ears.pt")
    assert again.body[0].attrs == model.body[0].attrs
    np.testing.assert_array_equal(again.predict(sound(4))[0], model.predict(sound(4))[0])


def test_frames_are_samples() -> None:
    assert listener().frame_s == 1 / 16_000


def test_bad_arguments_are_named() -> None:
    with pytest.raises(BadInput, match="LogMel: fft is 400; there are 256, 512, 1024"):
        nn.LogMel(fft=400)
    with pytest.raises(BadInput, match="MFCC: 50 coefficients; give 1 to the mels, 40"):
        nn.MFCC(coefficients=50)


@pytest.mark.parametrize(
    "body",
    [
        nn.Sequential(nn.ReLU(), nn.LogMel(), nn.Flatten(), nn.Linear(40, 2, 8)),
        nn.Sequential(
            nn.Mixture(
                [nn.Sequential(nn.LogMel(), nn.Flatten(), nn.Linear(40, 2, k)) for k in (4, 8)],
                nn.PlainRouter(512, 2),
                (4, 8),
            ),
        ),
    ],
    ids=["behind a layer", "in an expert"],
)
def test_it_stands_first(body: torch.nn.Module) -> None:
    with pytest.raises(UnsupportedOp, match="stands first"):
        nn.Model(body, (1, 512))


def test_stereo_is_refused() -> None:
    body = nn.Sequential(nn.LogMel(), nn.Flatten(), nn.Linear(40, 2, 8))
    with pytest.raises(UnsupportedOp, match="one channel"):
        nn.Model(body, (2, 512))


@pytest.mark.parametrize("name", CASES)
def test_onnx_computes_it_in_floats(name: str) -> None:
    """The step that the integers take, or one beside it where a float lies between two."""
    graph, x = AUDIO_CASES[name](), rows_of(name)
    file = onnx_model(graph, "ears").SerializeToString()
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    made = session.run(None, {"input": x.transpose(0, 3, 1, 2)})[0].transpose(0, 2, 3, 1)
    wanted = real_outputs(graph, run(graph, quantize_rows(graph, x)).output).reshape(made.shape)
    away = np.abs(made - wanted) / quant_of(graph.tensors["y"]).per_tensor
    assert away.max() <= 1.01
    assert np.mean(away < 0.01) > 0.9


@pytest.mark.full
def test_the_page_runs_as_written(tmp_path: Path) -> None:
    """An export that hears hop by hop, proven on the board's twin, inside the bound of cycles."""
    failed, tried = run_page("audio.md", tmp_path)
    assert (failed, tried > 5) == (0, True)
    assert (tmp_path / "ears" / "window.npz").is_file()
