"""Cascades of finished networks: two model files, or one float network in several widths."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn
from edgeq.errors import BadInput, ModelFile
from tests.command_line import run_cli


def _data(rows: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, rows)
    return (rng.normal(size=(rows, 6)) + 2.0 * np.eye(3, 6)[y]).astype(np.float32), y


def _model(kind: str, width: int, name: str, classes: int = 3, features: int = 6) -> nn.Model:
    torch.manual_seed(width)
    layers = [nn.Linear(features, width, kind), nn.ReLU(), nn.Linear(width, width, kind), nn.ReLU()]
    body = nn.Sequential(*layers, nn.Linear(width, classes, "int8"))
    return nn.Model(body, (features,), name=name)


def _finished(kind: str, width: int, name: str) -> nn.Model:
    model = _model(kind, width, name)
    nn.fit(model, _data(), epochs=6, lr=1e-2, progress=False)
    model.calibrate(_data()[0][:100])
    return model


def _kinds(module: torch.nn.Module) -> list[str]:
    return [m.kind for m in module.modules() if isinstance(m, nn.QuantLayer)]


def test_with_kind_changes_the_inner_layers_alone() -> None:
    model = _finished("ptq", 8, "net")
    made = nn.with_kind(model, "ternary")
    assert _kinds(made) == ["int8", "ternary", "int8"]
    assert _kinds(model) == ["ptq", "ptq", "int8"]
    assert torch.equal(made.state_dict()["body.2.weight"], model.state_dict()["body.2.weight"])


def test_a_model_around_another_body_keeps_what_travels_beside_it() -> None:
    model = nn.Model(_model("ptq", 8, "net").body, {"sound": (6,)}, name="net", task="regression")
    for made, name in ((nn.with_kind(model, "int4"), "net"), (nn.narrowed(model, 0.5), "net_0.5")):
        assert (made.inputs, made.task, made.name) == ({"sound": (6,)}, "regression", name)


def test_a_float_network_becomes_a_cascade_without_training() -> None:
    """int8 copies of a float network answer as it does; the wide expert is such a copy."""
    model = _finished("ptq", 16, "net")
    made = nn.mixture_of(model, ("int4", "int8"))
    assert made.body.names == ("int4", "int8")
    assert [_kinds(expert)[1] for expert in made.body.experts] == ["int4", "int8"]
    x = _data(300)[0]
    wide = nn.Model(made.body.experts[1], (6,)).predict(x)[0].argmax(1)
    assert (wide == model.predict(x)[0].argmax(1)).mean() > 0.97
    route = made.predict(model.calibration)[1]
    assert 0 < (route == 1).mean() <= 0.3


def test_each_expert_of_a_mix_answers_as_its_model() -> None:
    models = [_finished("ternary", 4, "cheap"), _finished("int8", 16, "precise")]
    made = nn.mixed(models, escalate=0.4)
    assert made.name == "precise"
    assert made.body.names == ("cheap", "precise")
    x = _data(300)[0]
    logits, route = made.predict(x)
    assert route is not None
    assert 0.1 < (route == 1).mean() < 0.7
    for e, model in enumerate(models):
        np.testing.assert_array_equal(logits[route == e], model.predict(x)[0][route == e])


def test_models_that_fit_no_cascade_are_refused() -> None:
    one = _finished("int8", 8, "one")
    with pytest.raises(BadInput, match="at least 2 models"):
        nn.mixed([one])
    with pytest.raises(BadInput, match=r"same input and classes.*5 classes"):
        nn.mixed([one, _model("int8", 8, "two", classes=5)])
    with pytest.raises(BadInput, match="same input and classes"):
        nn.mixed([one, _model("int8", 8, "two", features=7)])
    both = nn.mixed([one, _finished("int8", 12, "two")])
    with pytest.raises(BadInput, match="several experts already"):
        nn.mixed([both, one])
    with pytest.raises(BadInput, match="several experts already"):
        nn.mixture_of(both)


def _mixture(trunk: bool) -> nn.Model:
    """Three experts, the most precise first, their router last."""
    torch.manual_seed(4)
    experts = [
        nn.Sequential(nn.Linear(6, 10, kind), nn.ReLU(), nn.Linear(10, 3, "int8"))
        for kind in ("int8", "ternary", "int4")
    ]
    mixture = nn.Mixture(experts, nn.BayesianRouter(6, 3, hidden=(4,)))
    shared = nn.Sequential(nn.Linear(6, 6, "int8"), nn.ReLU())
    body = nn.TrunkMixture(shared, mixture) if trunk else mixture
    model = nn.Model(body, (6,), name="routed")
    nn.fit(model, _data(), epochs=3, progress=False)
    model.calibrate(_data()[0][:100])
    return model


@pytest.mark.parametrize("trunk", [False, True])
def test_a_mixtures_experts_become_the_stages_of_a_cascade(trunk: bool) -> None:
    model = _mixture(trunk)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    made = nn.cascaded(model, escalate=0.4)
    assert made.body.names == ("ternary", "int4", "int8")
    assert (made.body.trunk is not None) is trunk
    logits, route = made.predict(_data()[0])
    mixture, x = model.mixtures[0], torch.from_numpy(_data()[0])
    seen = model.body.trunk.eval()(x) if trunk else x
    with torch.no_grad():
        alone = [mixture.experts[e].eval()(seen).numpy() for e in (1, 2, 0)]
    wanted = np.choose(route[:, None], alone)
    np.testing.assert_allclose(logits, wanted, atol=1e-5)
    assert set(route.tolist()) == {0, 1, 2}
    assert 0.3 < (made.predict(made.calibration)[1] > 0).mean() <= 0.4
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_only_a_mixture_becomes_a_cascade_by_itself(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"is Sequential: only a mixture.*give two or more"):
        nn.cascaded(_model("int8", 8, "net"))
    edgeq.save(_mixture(trunk=True), tmp_path / "routed.pt")
    told = edgeq.mix([tmp_path / "routed.pt"], tmp_path / "cascade.pt")
    assert told["experts"] == ["ternary", "int4", "int8"]
    report = edgeq.export(tmp_path / "cascade.pt", "cortex-m4", tmp_path / "export")
    assert [e["name"] for e in report["experts"]] == told["experts"]


@pytest.mark.parametrize("widths", [("int8",), ("int8", "ternary"), ("int8", "int8")])
def test_widths_go_from_cheap_to_precise(widths: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match="the cheapest first"):
        nn.mixture_of(_model("int8", 8, "net"), widths)


def test_the_command_mixes_model_files_that_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / "cheap.pt", tmp_path / "precise.pt"]
    for path, kind, width in zip(paths, ("ternary", "int8"), (4, 16), strict=True):
        edgeq.save(_finished(kind, width, path.stem), path)
    out = tmp_path / "model.pt"
    words = ("mix", *map(str, paths), "-o", str(out), "--escalate", "0.2", "--json")
    assert run_cli(monkeypatch, *words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["experts"] == ["cheap", "precise"]
    assert told["shares"]["cheap"] >= 0.8
    assert (told["rows"], told["notes"]) == (100, [])
    report = edgeq.export(out, "cortex-m4", tmp_path / "export")
    assert [expert["name"] for expert in report["experts"]] == ["cheap", "precise"]


def test_the_command_refuses_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(ModelFile):
        edgeq.mix([tmp_path / "text.pt", tmp_path / "text.pt"], tmp_path / "out.pt")
    assert not (tmp_path / "out.pt").exists()


def test_the_command_leaves_the_models_that_it_mixes(tmp_path: Path) -> None:
    for name, width in (("cheap", 4), ("precise", 16)):
        edgeq.save(_finished("int8", width, name), tmp_path / f"{name}.pt")
    before = (tmp_path / "cheap.pt").read_bytes()
    (tmp_path / "link.pt").symlink_to(tmp_path / "cheap.pt")
    paths = [tmp_path / "cheap.pt", tmp_path / "precise.pt"]
    for out in ("cheap.pt", "link.pt"):
        with pytest.raises(BadInput, match="is one of the models that are mixed"):
            edgeq.mix(paths, tmp_path / out)
    assert (tmp_path / "cheap.pt").read_bytes() == before


def test_the_command_says_where_no_threshold_is_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / "cheap.pt", tmp_path / "precise.pt"]
    for path, width in zip(paths, (4, 16), strict=True):
        edgeq.save(_model("int8", width, path.stem), path)
    assert run_cli(monkeypatch, "mix", *map(str, paths), "-o", str(tmp_path / "both.pt")) == 0
    assert "edgeq export --calibration" in capsys.readouterr().err
