"""Models of several named inputs and outputs: data, training, refusals, export."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn
from edgeq.errors import BadInput, UnsupportedOp
from edgeq.frontend.torch_answers import answers
from edgeq.frontend.torch_loader import graph_of
from edgeq.nn.graph import graph_of_body
from edgeq.passes.float_forward import run_float
from edgeq.sources import source_of

SHAPES = {"left": (6,), "image": (2, 4, 3)}
Arrays = dict[str, np.ndarray[Any, Any]]


def rows(count: int = 60) -> Arrays:
    rng = np.random.default_rng(3)
    made = {name: rng.normal(size=(count, *shape)) for name, shape in SHAPES.items()}
    return {name: x.astype(np.float32) for name, x in made.items()}


def labels(x: Arrays) -> Arrays:
    return {
        "classes": (x["left"][:, 0] > 0).astype(int) + (x["image"][:, 0, 1, 1] > 0),
        "bright": (x["image"][:, 1].mean((1, 2)) > 0).astype(int),
    }


def body(merge: str = "concat") -> nn.Sequential:
    """The image is flattened behind its convolution: on the device its features come otherwise."""
    torch.manual_seed(0)
    image = nn.Sequential(nn.Conv2d(2, 3, 3, 8, padding=1), nn.ReLU(), nn.Flatten())
    if merge == "add":
        image.append(nn.Linear(36, 5, 8))
    width = 5 if merge == "add" else 41
    return nn.Sequential(
        nn.Inputs({"left": nn.Linear(6, 5, 8), "image": image}, merge),
        nn.Linear(width, 12, 8),
        nn.ReLU(),
        nn.Outputs({"classes": nn.Linear(12, 3, 8), "bright": nn.Linear(12, 2, 8)}),
    )


def model(**given: Any) -> nn.Model:
    return nn.Model(body(), SHAPES, **given)


@pytest.mark.parametrize("merge", ["concat", "add"])
def test_the_float_graph_answers_as_the_module(merge: str) -> None:
    x = rows(20)
    made = nn.Model(_float(body(merge)), SHAPES)
    graph = graph_of(made)
    assert (graph.inputs, graph.output_names) == (("left", "image"), ("classes", "bright"))
    flat = [x["left"], x["image"].transpose(0, 2, 3, 1).reshape(20, -1)]
    values = run_float(graph, np.concatenate(flat, axis=1), curious=False).values
    wanted, _ = made.predict(x)
    for name, tensor in zip(graph.output_names, graph.outputs, strict=True):
        np.testing.assert_allclose(values[tensor], wanted[name], atol=1e-5)
    told = answers(made, np.concatenate(flat, axis=1)).output
    np.testing.assert_allclose(told, np.concatenate(list(wanted.values()), axis=1), atol=1e-6)


def _float(module: nn.Sequential) -> torch.nn.Module:
    """The same layers, not rounded."""
    for layer in module.modules():
        if isinstance(layer, nn.QuantLayer):
            layer._kind, layer.kind = nn.weight_kind("ptq"), "ptq"
    return module.eval()


def test_rows_by_name_and_joined_are_the_same() -> None:
    x, made = rows(), model()
    joined = np.concatenate([x["left"], x["image"].reshape(60, -1)], axis=1)
    by_name, whole = made.predict(dict(reversed(x.items())))[0], made.predict(joined)[0]
    assert made.input_shape == (30,)
    for name in ("classes", "bright"):
        np.testing.assert_array_equal(by_name[name], whole[name])


def test_every_output_learns_from_labels_of_its_own() -> None:
    x = rows(400)
    y = labels(x)
    data = nn.split(x, y)
    assert sum(len(part[0]["left"]) for part in (data.train, data.validation, data.test)) == 400
    made, shapes = model(), []

    def augment(x: Any, y: Any, generator: Any) -> Any:
        shapes.append({name: part.shape[1:] for name, part in x.items()})
        return x, y

    history = nn.fit(
        made, data.train, data.validation, epochs=30, lr=1e-2, augment=augment, progress=False
    )
    answered, _ = made.predict(x)
    for name in y:
        right = (answered[name].argmax(1) == y[name]).mean()
        assert right > 0.7, name  # half is what a guess gets
    assert shapes[0] == SHAPES
    assert 0.7 < history.best_accuracy <= 1


def test_labels_without_a_name_are_the_answer() -> None:
    x = rows()
    made = model()
    before = made.body[-1].heads[1].weight.clone()
    nn.fit(made, (x, labels(x)["classes"]), epochs=2, weight_decay=0, progress=False)
    assert torch.equal(made.body[-1].heads[1].weight, before)


def test_a_mixture_behind_several_inputs() -> None:
    x = rows(300)
    kinds = ("int4", "int8")
    torch.manual_seed(0)
    experts = [nn.paper_expert(8, (16, 16), 3, kind) for kind in kinds]
    start = nn.Inputs(
        {"left": nn.Linear(6, 4), "image": nn.Sequential(nn.Flatten(), nn.Linear(24, 4))}
    )
    made = nn.Model(
        nn.Sequential(start, nn.Mixture(experts, nn.BayesianRouter(8, 2), kinds)),
        SHAPES,
        calibration=x,
    )
    nn.fit(made, (x, labels(x)["classes"]), epochs=2, progress=False)
    made.calibrate()
    _, route = made.predict(x)
    assert route is not None
    assert edgeq.export(made, "cortex-m4", "build")["checks"][0]["passed"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.full
def test_export_quantize_and_profile_files() -> None:
    x = rows()
    made = model(calibration=x, evaluation=(x, labels(x)["classes"]))
    made.calibrate()
    report = edgeq.export(made, "virtual_m4", "out")
    assert all(check["passed"] for check in report["checks"])
    assert [each["name"] for each in report["inputs"]] == ["left", "image"]
    assert [each["shape"] for each in report["outputs"]] == [[3], [2]]
    held = np.load("out/evaluation.npz")
    assert set(held.files) == {"left", "image", "y"}
    np.testing.assert_array_equal(held["image"], x["image"])
    quantised = edgeq.quantize(made, x, weights="int4")
    assert edgeq.export(quantised, "virtual_m4", "four")["checks"][0]["passed"]
    edgeq.save(quantised, "four.pt")
    np.savez("rows.npz", **x)
    edgeq.export("four.pt", "virtual_m4", "five", calibration="rows.npz")
    np.savez("rows.npz", x=x["left"])
    with pytest.raises(BadInput, match="keys x, not left, image"):
        edgeq.export("four.pt", "virtual_m4", "five", calibration="rows.npz")
    assert source_of("four.pt").inputs == SHAPES


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"left": np.ones((4, 6))}, "left; the model's inputs are left, image"),
        (np.ones((4, 6)), r"takes \(N, 30\); give a dict {'left': \(N, 6\), 'image'"),
        (rows(4) | {"left": np.ones((4, 7))}, r"set: left has shape \(4, 7\)"),
        (rows(4) | {"left": np.ones((3, 6))}, "different number of rows.*left 3, image 4"),
    ],
)
def test_data_of_other_inputs_is_refused(given: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        model(calibration=given)
    with pytest.raises(BadInput, match=said.replace("calibration", "training")):
        nn.fit(model(), (given, np.zeros(4, int)), progress=False)


def test_labels_of_other_outputs_are_refused() -> None:
    x = rows(4)
    with pytest.raises(BadInput, match="labels of angle; the model's outputs are classes, bright"):
        nn.fit(model(), (x, {"angle": np.zeros(4, int)}), progress=False)
    with pytest.raises(BadInput, match="0 or more a sample for output 'bright'"):
        nn.fit(model(), (x, {"bright": -np.ones(4, int)}), progress=False)
    with pytest.raises(BadInput, match="need 5 classes, the model gives"):
        nn.fit(model(), (x, {"bright": np.full(4, 4)}), progress=False)
    named, plain = (x, labels(x)), (rows(5), np.zeros(5, int))
    with pytest.raises(BadInput, match="a dict in each, or in none"):
        nn.fit(model(), named, plain, progress=False)
    with pytest.raises(BadInput, match="distill takes models of one output"):
        nn.distill(model(), model(), x, progress=False)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: nn.Inputs({"left": nn.ReLU()}), "give two or more"),
        (lambda: nn.Inputs({"a": nn.ReLU(), "y": nn.ReLU()}), "none named 'y'"),
        (lambda: nn.Inputs({"a-b": nn.ReLU(), "c": nn.ReLU()}), "no C identifier"),
        (lambda: nn.Inputs({"a": nn.ReLU(), "b": 3}), "has int, no layers"),
        (lambda: nn.Inputs([nn.ReLU(), nn.ReLU()]), "takes a dict"),
        (lambda: nn.Inputs({"a": nn.ReLU(), "b": nn.ReLU()}, "mean"), "choose from concat, add"),
        (lambda: nn.Outputs({"a": nn.ReLU()}), "give two or more"),
    ],
)
def test_ends_that_cannot_be(make: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        make()


def _named(*layers: torch.nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Inputs({"left": nn.Linear(6, 4), "right": nn.Linear(6, 4)}), *layers)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (nn.Linear(12, 3), "it reads one tensor, and there are left, right"),
        (nn.Residual(_named()), "it reads one tensor"),
        (_named(nn.Outputs({"a": nn.Linear(8, 2), "b": nn.Linear(8, 2)}), nn.ReLU()), "one tensor"),
        (
            _named(nn.Linear(8, 2), nn.Residual(nn.Outputs({"a": nn.ReLU(), "b": nn.ReLU6()}))),
            "one",
        ),
        (_named(nn.Inputs({"a": nn.ReLU(), "b": nn.ReLU()})), "has branches for a, b"),
        (
            nn.Sequential(nn.Inputs({"left": nn.Linear(6, 4), "up": nn.Linear(6, 4)})),
            "has branches for left, up",
        ),
        (_named(nn.Outputs({"a": nn.Sequential(), "b": nn.Sequential()})), "'body.0.out'"),
    ],
)
def test_bodies_that_cannot_take_several(module: torch.nn.Module, said: str) -> None:
    with pytest.raises(UnsupportedOp, match=said):
        nn.Model(module, {"left": (6,), "right": (6,)})


def test_a_graph_of_several_ends_is_a_model() -> None:
    x, plain = rows(), nn.Model(_float(body()), SHAPES)
    graph = graph_of_body(plain.body, plain.inputs)
    made = nn.graph_model(graph, SHAPES, layout="channels first", calibration=x)
    wanted, got = plain.predict(x)[0], made.predict(x)[0]
    for name in ("classes", "bright"):
        np.testing.assert_allclose(got[name], wanted[name], atol=1e-5)
    edgeq.save(made, "graph.pt")
    again = edgeq.load("graph.pt")
    assert (again.inputs, list(again.outputs)) == (SHAPES, ["classes", "bright"])
    with pytest.raises(
        UnsupportedOp, match="shapes of left, image, in this order, not image, left"
    ):
        nn.graph_model(graph, dict(reversed(SHAPES.items())), layout="channels first")
