"""The model file: exact round trips, and no model written or built that is not whole."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgeq.errors import BadInput, ModelFile, UnsupportedOp
from edgeq.nn import (
    ACTIVATIONS,
    GRU,
    LSTM,
    MFCC,
    MGU,
    PCEN,
    SVDF,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    BayesianRouter,
    Cascade,
    Conv1d,
    Conv2d,
    Delay,
    Dropout,
    Exit,
    Flatten,
    GlobalAvgPool,
    Inputs,
    LayerNorm,
    Linear,
    LogMel,
    MaxPool2d,
    Mixture,
    Model,
    Outputs,
    PlainRouter,
    ReLU,
    ReLU6,
    Residual,
    Sequential,
    Softmax,
    TrunkMixture,
    build,
    config,
    config_of,
    depthwise_separable,
    graph_model,
    load,
    paper_expert,
    save,
)
from edgeq.nn.graph import graph_of_body


def _mixture(features: int) -> Mixture:
    experts = [Linear(features, 3, k) for k in ("ternary", 4, 8)]
    return Mixture(experts, BayesianRouter(features, 3, (8, 8), 0.2, 4, 5), ("ternary", 4, 8))


def _graph() -> nn.Module:
    body = Sequential(Linear(5, 4, "ptq"), ReLU6(), Linear(4, 3, "ptq"))
    return graph_model(graph_of_body(body.eval(), (5,))).body


BODIES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "graph": (_graph, (5,)),
    "mlp": (lambda: paper_expert(20, (12, 8), 3, "int2"), (20,)),
    "linear_bn": (
        lambda: Sequential(Linear(5, 6, 1, bias=False), BatchNorm1d(6), ReLU6(), Linear(6, 3, 16)),
        (5,),
    ),
    "audio": (
        lambda: TrunkMixture(depthwise_separable((8, 6), (2, 2), 4), _mixture(6), "trunk"),
        (1, 16, 20),
    ),
    "recurrent": (
        lambda: Sequential(LSTM(4, 5, "int4"), MGU(5, 5), GRU(5, 6, last=True), Linear(6, 3)),
        (4, 7),
    ),
    "svdf": (lambda: Sequential(SVDF(4, 5, 3, 4, 2), SVDF(5, 3, 2, last=True)), (4, 7)),
    "cascade": (
        lambda: Cascade(
            [Sequential(Linear(6, 4, 4), ReLU(), Linear(4, 3)), Linear(6, 3, 8)],
            trunk=Linear(5, 6),
            names=("small", "large"),
        ),
        (5,),
    ),
    "exits": (
        lambda: Cascade(
            [Exit(Sequential(Linear(5, 6), ReLU()), Linear(6, 3, 4)), Linear(6, 3, 8)],
            names=("early", "late"),
        ),
        (5,),
    ),
    "raw_router": (
        lambda: TrunkMixture(Sequential(LayerNorm(7), Linear(7, 9)), TrunkFree(), "input"),
        (7,),
    ),
    "residual": (
        lambda: Sequential(
            Conv2d(2, 4, 3, "int4", padding=1),
            BatchNorm2d(4),
            Residual(Sequential(Conv2d(4, 4, 3, groups=4, padding=1), ReLU())),
            Residual(Conv2d(4, 6, 1), Conv2d(4, 6, 1, "int3")),
            MaxPool2d(2),
            AvgPool2d((2, 1), 1),
            Flatten(),
            Dropout(0.3),
            Linear(48, 3, "ptq", per_tensor=True),
            Softmax(),
        ),
        (2, 6, 8),
    ),
    "log_mel": (
        lambda: Sequential(LogMel(hop=100), Conv1d(40, 4, 2), Flatten(), Linear(16, 3)),
        (1, 912),
    ),
    "pcen": (
        lambda: Sequential(PCEN(root=0.4, hop=200), Conv1d(40, 4, 2), Flatten(), Linear(8, 3)),
        (1, 912),
    ),
    "mfcc": (
        lambda: Sequential(
            MFCC(hop=200, coefficients=12), Conv1d(12, 4, 2), Flatten(), Linear(8, 3)
        ),
        (1, 912),
    ),
    "delay": (lambda: Sequential(Linear(5, 4), Delay(), Linear(4, 3)), (5,)),
    "activations": (lambda: Sequential(Linear(5, 3), *(cls() for cls in ACTIVATIONS)), (5,)),
    "delayed": (lambda: Sequential(Linear(5, 4), ReLU(), Delay(), Linear(4, 3)), (5,)),
    "windows": (
        lambda: Sequential(
            Conv1d(4, 8, 3, "int4", groups=2, dilation=3),
            Conv1d(8, 16, 3, groups=8, dilation=2),
            GlobalAvgPool(),
            Linear(16, 3),
        ),
        (4, 30),
    ),
    "causal": (
        lambda: Sequential(
            Conv1d(2, 4, 3, 4, padding="causal", dilation=2), GlobalAvgPool(), Linear(4, 3)
        ),
        (2, 30),
    ),
    "conv1d": (
        lambda: Sequential(Conv1d(2, 4, 5, 3, 2, 2), GlobalAvgPool(), Linear(4, 3)),
        (2, 30),
    ),
}


def _two_ends() -> nn.Module:
    ends = {"classes": Linear(9, 3), "angle": Linear(9, 2, 8)}
    return Sequential(Inputs({"left": Linear(5, 4), "right": Sequential()}), Outputs(ends))


def TrunkFree() -> Mixture:  # noqa: N802
    experts = [Linear(9, 3, k) for k in (2, 16)]
    return Mixture(experts, PlainRouter(7, 2, (8, 8)), (2, 16), gate="probability", rule="off")


def _model(name: str = "audio") -> Model:
    torch.manual_seed(0)
    make, shape = BODIES[name]
    x = torch.randn(24, *shape)
    model = Model(make(), shape, ("a", "b", "c"), x, (x[:5], torch.tensor([0, 1, 2, 0, 1])), name)
    model.train()(x)
    model.calibrate()
    return model.eval()


@pytest.mark.parametrize("name", BODIES)
def test_round_trip_is_exact(name: str, tmp_path: Path) -> None:
    model = _model(name)
    save(model, tmp_path / "m.pt")
    again = load(tmp_path / "m.pt")
    assert not again.training
    assert (again.name, again.input_shape, again.class_names) == (
        name,
        model.input_shape,
        ("a", "b", "c"),
    )
    assert again.calibration is not None
    assert model.calibration is not None
    np.testing.assert_array_equal(again.calibration, model.calibration)
    assert again.evaluation is not None
    assert again.evaluation[1].tolist() == [0, 1, 2, 0, 1]
    x = torch.from_numpy(model.calibration)
    assert torch.equal(model(x), again(x))
    assert config_of(again.body) == config_of(model.body)
    assert [p.requires_grad for p in again.parameters()] == [
        p.requires_grad for p in model.parameters()
    ]
    again.train()(x).sum().backward()  # a loaded model can be trained further
    assert os.listdir(tmp_path) == ["m.pt"]


@pytest.mark.parametrize("name", BODIES)
def test_config_rebuilds_any_composition(name: str) -> None:
    body = BODIES[name][0]()
    twin = build(config_of(body))
    assert config_of(twin) == config_of(body)
    assert {k: v.shape for k, v in twin.state_dict().items()} == {
        k: v.shape for k, v in body.state_dict().items()
    }


def test_a_model_may_carry_no_data(tmp_path: Path) -> None:
    save(Model(Linear(4, 2), (4,)), tmp_path / "m.pt")
    model = load(tmp_path / "m.pt")
    assert (model.calibration, model.evaluation, model.class_names) == (None, None, None)


def test_all_unknown_modules_are_listed_and_nothing_is_written(tmp_path: Path) -> None:
    body = Sequential(Linear(4, 4), nn.CELU(), Residual(Sequential(nn.RNN(4, 4))), Linear(4, 2))
    model = Model(Linear(4, 2), (4,))
    model.body = body
    with pytest.raises(UnsupportedOp) as caught:
        save(model, tmp_path / "m.pt")
    assert "body.1 (CELU)" in str(caught.value)
    assert "body.2.body.0 (RNN)" in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_unknown_kinds_and_bad_fields_are_all_listed() -> None:
    good = config_of(Sequential(Linear(4, 4), Dropout(0.1)))
    good["layers"][0]["weights"] = "int17"
    good["layers"][1]["p"] = "half"
    good["layers"] += [{"kind": "celu"}, {"kind": "relu", "inplace": True}, 7]
    with pytest.raises(ModelFile) as caught:
        build(good)
    for part in ("layers[0]", "int17", "'half'", "'celu'", "inplace", "layers[4]: is int"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"in_features": 2**20, "out_features": 2**20}, "parameters; the limit"),
        ({"in_features": 10**30}, "bits, expected"),
        ({"in_features": -1}, "expected a whole number"),
        ({"in_features": True}, "expected a whole number"),
        ({"in_features": 4.0}, "expected a whole number"),
        ({"threshold": float("nan")}, "threshold"),
    ],
)
def test_huge_or_odd_sizes_are_refused_before_memory_is_taken(
    patch: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelFile, match=message):
        build({**config_of(Linear(4, 4)), **patch})


def test_deep_and_wide_configs_are_refused() -> None:
    deep: dict[str, Any] = {"kind": "relu"}
    for _ in range(5000):
        deep = {"kind": "sequential", "layers": [deep]}
    shared: dict[str, Any] = {"kind": "relu"}
    for _ in range(60):  # 2^60 nodes in a few bytes
        shared = {"kind": "sequential", "layers": [shared, shared]}
    for bad in (deep, shared):
        with pytest.raises(ModelFile, match=r"deeper|larger"):
            build(bad)


def test_save_refuses_what_load_would(tmp_path: Path) -> None:
    model = Model(Linear(4, 2), (4,))
    with pytest.raises(BadInput, match="wrap it"):
        save(model.body, tmp_path / "m.pt")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="cannot write"):
        save(model, tmp_path / "no" / "folder" / "m.pt")
    model.body.weight.data[0, 0] = torch.nan  # type: ignore[union-attr, index]
    with pytest.raises(BadInput, match="NaN or infinite values, as float32, in weight"):
        save(model, tmp_path / "m.pt")
    assert os.listdir(tmp_path) == []


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.pt"
    save(Model(Linear(4, 2), (4,)), path)
    before = path.read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(BadInput, match="No space"):
        save(Model(Linear(4, 3), (4,)), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.pt"]


def test_a_model_of_several_ends_comes_back(tmp_path: Path) -> None:
    shapes = {"left": (5,), "right": (5,)}
    x = {name: torch.randn(24, *shape) for name, shape in shapes.items()}
    labels = torch.tensor([0, 1, 2, 0, 1])
    model = Model(_two_ends(), shapes, None, x, ({n: v[:5] for n, v in x.items()}, labels))
    model.calibrate()
    save(model.eval(), tmp_path / "m.pt")
    again = load(tmp_path / "m.pt")
    assert (again.inputs, list(again.outputs)) == (shapes, ["classes", "angle"])
    assert model.calibration is not None
    np.testing.assert_array_equal(again.calibration, model.calibration)
    wanted, got = model(x), again(x)
    assert all(torch.equal(wanted[name], got[name]) for name in ("classes", "angle"))
    assert config_of(build(config_of(again.body))) == config_of(model.body)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["config"].update(input_shape=[10]), "config must hold exactly"),
        (lambda c: c["config"].update(inputs={}), "shapes of 1 to 16 inputs"),
        (lambda c: c["config"]["inputs"].update(right=["5"]), "whole numbers"),
        (lambda c: c["config"]["inputs"].update({"a-b": [5]}), "no C identifier"),
        (lambda c: c["config"]["body"]["layers"][0].update(branches=[]), "a name for each"),
        (lambda c: c["config"]["body"]["layers"][0].update(merge="mean"), "choose from concat"),
        (lambda c: c["calibration"].pop("left"), "the model's inputs are left, right"),
        (lambda c: c["evaluation"].update(x=None), "its rows are missing"),
    ],
)
def test_a_damaged_file_of_several_inputs_is_refused(
    change: Callable[[Any], object], said: str, tmp_path: Path
) -> None:
    shapes = {"left": (5,), "right": (5,)}
    x = {name: torch.randn(24, *shape) for name, shape in shapes.items()}
    save(Model(_two_ends(), shapes, None, x, (x, torch.zeros(24, dtype=int))), tmp_path / "m.pt")
    content = torch.load(tmp_path / "m.pt")
    change(content)
    torch.save(content, tmp_path / "m.pt")
    with pytest.raises(ModelFile, match=said):
        load(tmp_path / "m.pt")


def test_every_kind_of_the_table_is_covered_by_a_round_trip() -> None:
    seen: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            seen.add(node.get("kind", ""))
            node = list(node.values())
        if isinstance(node, list):
            for item in node:
                walk(item)

    for make in (_two_ends, *(make for make, _ in BODIES.values())):
        walk(config_of(make()))
    assert set(config.MODULES) <= seen | {"relu"}


def test_model_data_is_checked() -> None:
    for bad, message in (
        (np.zeros((5, 4)), "constant"),
        (np.zeros((0, 4)), "empty"),
        (np.ones((5, 3)), "shape"),
        (np.full((5, 4), np.nan), "NaN"),
    ):
        with pytest.raises(BadInput, match=message):
            Model(Linear(4, 2), (4,), calibration=bad)
    with pytest.raises(BadInput, match="stores no calibration"):
        Model(Linear(4, 2), (4,)).calibrate()
    with pytest.raises(BadInput, match="positive whole sizes"):
        Model(Linear(4, 2), ())
