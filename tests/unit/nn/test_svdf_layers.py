"""nn.SVDF: its sums by hand, trained codes shipped, the proof, a file, refusals."""

from pathlib import Path

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn
from edgeq.errors import BadInput, UnsupportedOp
from edgeq.frontend.torch_loader import graph_of
from edgeq.passes import quantize
from edgeq.prove.model import check_model

torch.set_num_threads(1)
FEATURES, STEPS = 4, 8


def rows(count: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, FEATURES, STEPS)).astype(np.float32)


def net(kind: str | int) -> nn.Model:
    torch.manual_seed(0)
    end = "ptq" if kind == "ptq" else "int8"
    body = nn.Sequential(
        *(nn.SVDF(FEATURES, 6, 4, kind, rank=2), nn.ReLU(), nn.SVDF(6, 5, 3, kind, last=True)),
        nn.Linear(5, 2, end),
    )
    return nn.Model(body, (FEATURES, STEPS), calibration=rows(64), name="heard")


def test_a_unit_is_the_sum_of_its_filters_over_time() -> None:
    layer, x = nn.SVDF(FEATURES, 3, 4, "ptq", rank=2), rows(2)
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([0.5, -1.0, 2.0]))
        made = layer(torch.from_numpy(x)).numpy()
    weight, taps = (m.weight.detach().numpy() for m in (layer.filters, layer.taps))
    wanted = np.tile(layer.bias.detach().numpy()[None, :, None], (2, 1, STEPS)).astype(float)
    for t in range(STEPS):
        for back in range(min(4, t + 1)):
            found = x[:, :, t - back] @ weight.T * taps[:, 3 - back]
            wanted[:, :, t] += found.reshape(2, 3, 2).sum(axis=2)
    np.testing.assert_allclose(made, wanted, rtol=1e-4, atol=1e-5)
    layer.last = True
    np.testing.assert_array_equal(layer(torch.from_numpy(x)).detach().numpy(), made[:, :, -1])


@pytest.mark.parametrize("kind", ["int8", "int4", "ternary", "ptq"])
def test_the_integers_are_the_trained_model(kind: str, tmp_path: Path) -> None:
    """Saved, loaded and quantised; codes as trained."""
    model = net(kind)
    x = model.calibration
    assert x is not None
    nn.fit(
        model, (x, (x[:, 0].sum(axis=1) > 0).astype(np.int64)), epochs=40, lr=2e-2, progress=False
    )
    model.calibrate()
    edgeq.save(model, tmp_path / "m.pt")
    loaded = nn.load(tmp_path / "m.pt")
    given = np.ascontiguousarray(x.transpose(0, 2, 1)[:, None])
    graph = quantize(graph_of(loaded), given, "minmax").graph
    check = check_model(loaded, graph, given)
    assert check.passed, check.said
    assert check.mean_lsb is not None
    assert check.mean_lsb < 1.5
    assert [node.op for node in graph.nodes].count("Relu") == 0  # clamps
    node, layer = graph.nodes[0], model.body[0]
    if kind != "ptq":
        for role, part in (("feature_weight", layer.filters), ("taps", layer.taps)):
            name = node.params.get(role) or graph.nodes[1].params[role]
            codes = part.quantized()[0].numpy()
            codes = codes.T if role == "taps" else codes
            np.testing.assert_array_equal(graph.constants[name], codes)
        assert np.abs(graph.param(node, "feature_weight")).max() <= nn.KINDS[kind].top


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((4, 3, 0), "0 taps a unit; give 1 to 1024"),
        ((4, 3, 600, 8, 2), "2 filters of 600 taps"),
        ((4, 3, 2, 8, 0), "0 filters of 2 taps"),
        ((4, 3, 2, "int2"), "kind 'int2' have no kernel; choose from ternary"),
    ],
)
def test_what_no_kernel_has_is_refused(given: tuple[int, ...], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        nn.SVDF(*given)


@pytest.mark.parametrize(
    ("body", "shape", "said"),
    [
        (nn.Sequential(nn.SVDF(4, 3, 2)), (5, 7), "takes 4 features, what is before it gives 5"),
        (nn.Sequential(nn.Flatten(), nn.SVDF(4, 3, 2)), (4, 7), "takes a sequence"),
    ],
)
def test_what_is_no_sequence_is_refused(
    body: nn.Sequential, shape: tuple[int, ...], said: str
) -> None:
    with pytest.raises(UnsupportedOp, match=said):
        nn.Model(body, shape)
    with pytest.raises(BadInput, match=r"SVDF takes \(N, 4, T\), got \(2, 5, 7\)"):
        nn.SVDF(4, 3, 2)(torch.zeros(2, 5, 7))
