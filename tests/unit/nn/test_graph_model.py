"""A float graph as a model: it answers as its ops do, is saved whole, quantised and trained."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import edgeq
from edgeq import nn
from edgeq.errors import BadInput, ModelFile, UnsupportedOp
from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.nn import graph_ops
from edgeq.nn.graph import graph_of_body
from edgeq.nn.graph_plan import plan_of
from edgeq.nn.loop import evaluate
from edgeq.nn.weight_kinds import weight_kind
from edgeq.ops import OPS
from edgeq.ops.add import Add
from edgeq.ops.arg_max import ArgMax
from edgeq.ops.average_pool_2d import AveragePool2D
from edgeq.ops.batch_matmul import BatchMatMul
from edgeq.ops.broadcast import (
    AddBroadcast,
    AddConstant,
    Maximum,
    Minimum,
    Mul,
    MulConstant,
    Sub,
)
from edgeq.ops.concat import Concat
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.copies import Expand, Pad, ResizeNearest, Slice, Transpose
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.embedding import Embedding
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.gather import Gather
from edgeq.ops.group_norm import GroupNorm
from edgeq.ops.gru import Gru
from edgeq.ops.hard_swish import HardSwish
from edgeq.ops.layer_norm import LayerNorm
from edgeq.ops.leaky_relu import LeakyRelu
from edgeq.ops.log_softmax import LogSoftmax
from edgeq.ops.lstm import Lstm
from edgeq.ops.max_pool_2d import MaxPool2D
from edgeq.ops.mean_pool_2d import MeanPool2D
from edgeq.ops.mgu import Mgu
from edgeq.ops.prelu import PRelu
from edgeq.ops.relu import Relu
from edgeq.ops.reshape import Reshape
from edgeq.ops.resize_linear import ResizeLinear
from edgeq.ops.softmax import Softmax
from edgeq.ops.svdf_feature import SvdfFeature
from edgeq.ops.svdf_time import SvdfTime
from edgeq.passes import quantize
from edgeq.passes.float_forward import run_float

MAP = (6, 7, 4)
CASES: list[tuple[object, tuple[int, ...], dict[str, tuple[int, ...]]]] = [
    (FullyConnected(activation="relu"), (5,), {"weight": (3, 5), "bias": (3,)}),
    (Conv2D((2, 1), (0, 1, 1, 2), "s8", "relu6"), MAP, {"weight": (3, 3, 2, 4), "bias": (3,)}),
    (DepthwiseConv2D((1, 2), (1, 1, 1, 1)), MAP, {"weight": (3, 3, 4), "bias": (4,)}),
    (AveragePool2D((2, 3), (2, 1)), MAP, {}),
    (MeanPool2D((3, 3), (2, 2), (1, 0, 1, 1), "relu"), MAP, {}),
    (MaxPool2D((3, 2), (2, 2), (1, 0, 1, 1)), MAP, {}),
    (Add("relu"), MAP, {}),
    (Relu("relu6"), MAP, {}),
    (HardSwish(), MAP, {}),
    (LeakyRelu(0.2), MAP, {}),
    (Lstm(), (5, 3), {"input_weight": (8, 3), "recurrent_weight": (8, 2), "bias": (8,)}),
    (
        Gru(),
        (5, 3),
        {"input_weight": (6, 3), "recurrent_weight": (6, 2), "bias": (6,), "recurrent_bias": (6,)},
    ),
    (
        Mgu(),
        (5, 3),
        {"input_weight": (4, 3), "recurrent_weight": (4, 2), "bias": (4,), "recurrent_bias": (4,)},
    ),
    (SvdfFeature(), (1, 4, 5), {"feature_weight": (6, 5)}),
    (SvdfTime(2, 1, "relu"), (1, 4, 6), {"taps": (3, 6), "bias": (3,)}),
    (LayerNorm(1e-3, "relu"), (9,), {"gamma": (9,), "beta": (9,)}),
    (GroupNorm(2, 0, True, 1e-3, "relu"), MAP, {"gamma": (4,), "beta": (4,)}),
    (GroupNorm(1, 2, False), MAP, {"gamma": (4,), "beta": (4,)}),
    (Softmax(), (5,), {}),
    (LogSoftmax(), (5,), {}),
    (ArgMax(), MAP, {}),
    (ArgMax(last=True), (5,), {}),
    (Embedding(), (6, 7), {"table": (5, 3)}),
    (PRelu(), MAP, {"slope": (7, 4)}),
    (BatchMatMul(True), MAP, {}),
    (Reshape((4, 42)), MAP, {}),
    (Concat(2), MAP, {}),
    (Transpose((2, 0, 1)), MAP, {}),
    (Slice((5, 1, 0), (3, 2, 4), (-2, 3, 1)), MAP, {}),
    (Expand((6, 5)), (6, 1), {}),
    (Pad((0, 1, 2), (1, 0, 0), -0.5), MAP, {}),
    (ResizeNearest((2, 3)), MAP, {}),
    (Gather(1, (6, 0, 0, 3)), MAP, {}),
    (ResizeLinear((0, 700, 5120), (512, 6144)), MAP, {}),
    (AddBroadcast("relu"), MAP, {}),
    (Sub("relu6"), MAP, {}),
    (AddConstant((1, -1)), MAP, {"other": (7, 4)}),
    (Mul(), MAP, {}),
    (MulConstant("relu"), MAP, {"other": (4,)}),
    (Minimum(), MAP, {}),
    (Maximum(), MAP, {}),
]


def _ids(case: tuple[Any, ...]) -> str:
    return type(case[0]).__name__


@pytest.mark.parametrize("case", CASES, ids=_ids)
def test_an_op_in_torch_is_its_float_forward(case: Any) -> None:
    attrs, shape, sizes = case
    rng, name = np.random.default_rng(0), type(attrs).__name__
    x = tuple(
        rng.normal(size=(3, *shape)).astype(np.float32) * 3 for _ in range(OPS[name].arity or 3)
    )
    params = {r: rng.normal(size=s).astype(np.float32) for r, s in sizes.items()}
    wanted = OPS[name].float_forward(attrs, x, params)
    tensors = {r: torch.from_numpy(v) for r, v in params.items()}
    made = graph_ops.run_op(name, attrs, [torch.from_numpy(v) for v in x], tensors)
    np.testing.assert_allclose(made.numpy(), wanted, rtol=1e-5, atol=1e-5)


def test_every_row_in_torch_has_its_case() -> None:
    names = {type(case[0]).__name__ for case in CASES}
    without = {"LeakyRelu"}  # runs as its float_forward: an op needs no row
    assert set(graph_ops.FORWARDS) - {"BatchNorm"} == names - without  # importers fold that one


def test_an_op_without_a_row_has_a_chord_for_its_gradient(monkeypatch: Any) -> None:
    monkeypatch.setattr(graph_ops, "FORWARDS", {})
    x = torch.linspace(-5, 5, 40, requires_grad=True)
    graph_ops.run_op("HardSwish", HardSwish(), [x], {}).sum().backward()
    again = torch.linspace(-5, 5, 40, requires_grad=True)
    torch.nn.functional.hardswish(again).sum().backward()
    assert x.grad is not None
    assert again.grad is not None
    torch.testing.assert_close(x.grad, again.grad, rtol=1e-2, atol=1e-2)


def test_an_op_without_a_gradient_refuses_training_by_name(monkeypatch: Any) -> None:
    monkeypatch.setattr(graph_ops, "FORWARDS", {})
    x = torch.ones(2, 4, requires_grad=True)
    with pytest.raises(UnsupportedOp, match="Add has no gradient"):
        graph_ops.run_op("Add", Add(), [x, x], {})
    with torch.no_grad():
        assert graph_ops.run_op("Add", Add(), [x, x], {}).eq(2).all()


def _conv_body() -> nn.Sequential:
    return nn.Sequential(
        *nn.conv_block(2, 6, "ptq"),
        *nn.separable_block(6, 8, "ptq", stride=2, depthwise_kind="ptq"),
        nn.Residual(nn.Conv2d(8, 8, 3, "ptq", padding=1)),
        nn.HardSwish(),
        nn.GlobalAvgPool(),
        nn.Linear(8, 3, "ptq"),
    )


def _model(seed: int = 0, **more: Any) -> nn.Model:
    torch.manual_seed(seed)
    body = _conv_body()
    for module in body.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
    x = np.random.default_rng(seed).normal(size=(64, 2, 9, 8)).astype(np.float32)
    return nn.Model(body, (2, 9, 8), ("a", "b", "c"), x, name="small", **more).eval()


def _as_graph(model: nn.Model) -> nn.Model:
    graph = graph_of_body(model.body, model.input_shape, model.name)
    return nn.graph_model(
        graph, model.input_shape, layout="channels first", calibration=model.calibration,
        class_names=model.class_names,
    )  # fmt: skip


def _answers(model: nn.Model, x: Any) -> Any:
    with torch.no_grad():
        return model.eval()(torch.as_tensor(x))


def test_the_graph_of_a_model_answers_as_the_model() -> None:
    model = _model()
    made = _as_graph(model)
    torch.testing.assert_close(
        _answers(made, model.calibration), _answers(model, model.calibration), rtol=1e-4, atol=1e-5
    )
    assert "BatchNorm" not in {step.op for step in made.body.plan.steps}


def test_channels_last_rows_give_the_same_answers() -> None:
    model = _model()
    graph = graph_of_body(model.body, model.input_shape)
    made = nn.graph_model(graph)
    assert (made.layout, made.input_shape) == ("channels last", (9, 8, 2))
    x = model.calibration
    assert x is not None
    got = _answers(made, np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
    torch.testing.assert_close(got, _answers(model, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("weights", ["ptq", "int8", "int4", "ternary", "int2", "int1"])
def test_a_quantised_graph_is_saved_whole(weights: str, tmp_path: Path) -> None:
    model = edgeq.quantize(_model(), weights=weights, keep={"body.0": "int8"})
    edgeq.save(model, tmp_path / "m.pt")
    again = edgeq.load(tmp_path / "m.pt")
    assert [m.kind for m in again.body.layers.values()] == ["int8", *[weights] * 4]
    assert again.class_names == ("a", "b", "c")
    assert torch.equal(_answers(model, model.calibration), _answers(again, model.calibration))


def test_an_object_is_exported_as_its_file_is(tmp_path: Path) -> None:
    model = edgeq.quantize(_model(), weights="int4")
    edgeq.save(model, tmp_path / "m.pt")
    of_file = edgeq.export(tmp_path / "m.pt", "cortex-m4", tmp_path / "a")
    of_object = edgeq.export(model, "cortex-m4", tmp_path / "b")
    assert of_file == of_object
    assert of_file["input_layout"] == "channels first"
    firmware = {c["name"]: c for c in of_object["checks"]}["firmware"]
    assert firmware["passed"]
    assert firmware["samples"]


def test_what_is_no_model_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"takes an edgeq\.nn\.Model"):
        edgeq.export(torch.nn.Linear(2, 2), "cortex-m4", tmp_path / "a")  # type: ignore[arg-type]
    assert not (tmp_path / "a").exists()


def test_training_goes_on_from_the_quantised_model() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 240)
    x = (rng.normal(size=(240, 6)) + 2.0 * np.eye(3, 6)[y]).astype(np.float32)
    data = nn.split(x, y)
    float_body = nn.Sequential(nn.Linear(6, 8, "ptq"), nn.ReLU(), nn.Linear(8, 3, "ptq"))
    model = nn.Model(float_body, (6,))
    nn.fit(model, data.train, data.validation, epochs=10, progress=False)
    q = edgeq.quantize(model, data.train[0], weights="ternary")
    layers = list(q.body.layers.values())
    codes = [layer.quantized()[0] for layer in layers]
    before = evaluate(q, *map(torch.from_numpy, data.validation))
    history = nn.fit(q, data.train, data.validation, epochs=5, lr=1e-2, progress=False)
    assert history.best_accuracy >= before[1] - 0.03
    after = [layer.quantized()[0] for layer in layers]
    assert any(not torch.equal(a, b) for a, b in zip(codes, after, strict=True))
    assert all(set(made.unique().tolist()) <= {-1, 0, 1} for made in after)


def test_quantize_leaves_the_given_model_alone() -> None:
    model = _as_graph(_model())
    before = copy.deepcopy(model.state_dict())
    made = edgeq.quantize(model, weights="int4")
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert {m.kind for m in made.body.layers.values()} == {"int4"}
    assert {m.kind for m in model.body.layers.values()} == {"ptq"}


def test_quantize_says_what_it_takes() -> None:
    model = _model()
    with pytest.raises(BadInput, match=r"no layer 'stem'.*body\.0"):
        edgeq.quantize(model, keep={"stem": "int8"})
    with pytest.raises(BadInput, match="unknown weight kind 'int99'"):
        edgeq.quantize(model, weights="int99")
    with pytest.raises(BadInput, match="ptq is 'slow'"):
        edgeq.quantize(model, ptq="slow")
    model.calibration = None
    with pytest.raises(BadInput, match="pass x"):
        edgeq.quantize(model)
    with pytest.raises(BadInput, match="the model takes"):
        edgeq.quantize(model, np.zeros((4, 3, 9, 8)))
    kinds = ("ternary", "int8")
    experts = [nn.paper_expert(8, (16, 16), 3, kind) for kind in kinds]
    mixed = nn.Model(nn.Mixture(experts, nn.BayesianRouter(8, 2), kinds), (8,))
    for several in (mixed, nn.Model(nn.Cascade(experts), (8,))):
        with pytest.raises(UnsupportedOp, match="mixture or cascade have kinds of their own"):
            edgeq.quantize(several, np.random.default_rng(0).normal(size=(9, 8)))


@given(seed=st.integers(0, 10_000), kind=st.sampled_from(["int8", "int4", "int3", "ternary"]))
@settings(max_examples=25, deadline=None)
def test_settled_steps_are_no_worse_than_the_largest_weight(seed: int, kind: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(4, 30, generator=generator) * torch.rand(4, 1, generator=generator)
    from edgeq.nn.post_training import best_scale
    from edgeq.nn.weight_kinds import codes_at

    k = weight_kind(kind)

    def error(scale: Any) -> Any:
        return (codes_at(w, scale, k) * scale[:, None] - w).square().sum(1)

    assert (error(best_scale(w, k)) <= error(w.abs().amax(1) / k.top)).all()


def test_quantised_weights_and_settled_ranges_survive_import_and_export() -> None:
    """What a quantised file brings: codes with scales, an activation with a Quant."""
    codes = np.random.default_rng(0).integers(-7, 8, (3, 5)).astype(np.int8)
    types = {
        "x": TensorType((5,), "float32", Quant((0.05,), 3)),
        "y": TensorType((3,), "float32", Quant((0.25,), -10)),
        "w": TensorType((3, 5), "int8", Quant((0.1, 0.2, 0.3), 0, 0)),
        "b": TensorType((3,), "float32"),
    }
    attrs, params = FullyConnected("s4"), {"weight": "w", "bias": "b"}
    node = Node("fc", "FullyConnected", ("x",), ("y",), attrs, params)
    values = {"w": codes, "b": np.ones(3, np.float32)}
    model = nn.graph_model(Graph("qdq", ("x",), ("y",), (node,), types, values))
    graph = graph_of_body(model.body, model.input_shape)
    assert np.array_equal(graph.constants["fc.weight"], codes)
    x = np.random.default_rng(1).normal(size=(40, 5)).astype(np.float32)
    made = quantize(graph, x, "mse").graph
    assert made.tensors["x"].quant == Quant((0.05,), 3)
    assert made.tensors["y"].quant == Quant((0.25,), -10)


def _description() -> dict[str, Any]:
    return _as_graph(_model()).body.description


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d["steps"][0].update(op="Mixture"), "ops of edgeq"),
        (lambda d: d["steps"][0].update(op="Conv9D"), "ops of edgeq"),
        (lambda d: d["steps"][0].update(kind="int99"), "weight kind"),
        (lambda d: d["steps"][0].update(kind=""), "weight kind"),
        (lambda d: d["steps"][0]["attrs"].update(stride=[0, 1]), "stride"),
        (lambda d: d["steps"][0]["constants"].pop("weight"), "weight and bias"),
        (lambda d: d["steps"][0]["constants"].pop("bias"), "weight and bias"),
        (lambda d: d["steps"][0]["constants"]["weight"].__setitem__(0, [1 << 20] * 3), "sizes"),
        (lambda d: d["steps"][0].update(inputs=["nowhere"]), "nowhere"),
        (lambda d: d["steps"][1].update(name=d["steps"][0]["name"]), "different names"),
        (lambda d: d.update(outputs=["nowhere"]), "nowhere"),
        (lambda d: d.update(layout="diagonal"), "layout"),
        (lambda d: d.update(input_shape=[9, 8, 2]), "an input of shape"),
        (lambda d: d.update(quants={"input": {"scale": [0.0], "zero_point": 0, "axis": None}}),
         "positive scale"),
        (lambda d: d.update(inputs={}), "input"),
    ],
)  # fmt: skip
def test_a_description_that_makes_no_sense_is_refused(change: Any, said: str) -> None:
    data = _description()
    plan_of(data)
    change(data)
    with pytest.raises(ValueError, match=said):
        plan_of(data)
    with pytest.raises(ModelFile):
        nn.build({"kind": "graph", "description": data})


def test_a_lone_norm_is_a_convolution_and_an_unknown_op_refused() -> None:
    types = {"x": TensorType((4, 4, 2)), "y": TensorType((4, 4, 2))}
    types |= {"g": TensorType((2,)), "o": TensorType((2,))}
    values = {"g": np.array([2.0, -0.5], np.float32), "o": np.array([1.0, 0.0], np.float32)}
    params = {"gain": "g", "offset": "o"}
    norm = Node("bn", "BatchNorm", ("x",), ("y",), OPS["BatchNorm"].attrs(), params)
    made = nn.graph_model(Graph("n", ("x",), ("y",), (norm,), types, values))
    assert [step.op for step in made.body.plan.steps] == ["DepthwiseConv2D"]
    x = torch.randn(3, 4, 4, 2)
    wanted = x * torch.from_numpy(values["g"]) + torch.from_numpy(values["o"])
    torch.testing.assert_close(_answers(made, x), wanted)
    svdf = Node("g", "Svdf", ("x",), ("y",), norm.attrs)
    with pytest.raises(UnsupportedOp, match="Svdf"):
        nn.graph_model(Graph("n", ("x",), ("y",), (svdf,), types, {}))


def test_the_float_graph_and_the_model_agree_layer_by_layer() -> None:
    model = _as_graph(_model())
    graph = graph_of_body(model.body, model.input_shape)
    assert model.calibration is not None
    x = model.calibration.transpose(0, 2, 3, 1)
    wanted = run_float(graph, x).values[graph.outputs[0]]
    torch.testing.assert_close(
        _answers(model, model.calibration), torch.from_numpy(wanted), rtol=1e-4, atol=1e-4
    )
