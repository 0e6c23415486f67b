"""Every class of nn.ACTIVATIONS through the whole line: PyTorch, the file, integers, C, ONNX,
TensorFlow Lite. A new one is tested by being in the table.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeq import nn
from edgeq.arrays import model_rows
from edgeq.emit.tflite_check import assert_tflm_dtypes, run_tflite
from edgeq.emit.tflite_model import tflite_model
from edgeq.emit.tflite_rounding import STEPS_APART
from edgeq.errors import ModelFile
from edgeq.frontend.torch_loader import graph_of
from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ops import OPS
from edgeq.ops.lookup import KERNEL
from edgeq.ops.op import Call, Io
from edgeq.passes import quantize
from edgeq.passes.lower import lower
from edgeq.passes.select_kernels import select_kernels
from edgeq.reference import io_of, run
from tests.shape_cases import IMPORTED_FUNCTIONS
from tests.unit.emit import test_firmware as c
from tests.unit.emit.test_onnx_model import int8_values

SCALES = ((0.05, 0.03), (0.02, 0.02), (1.0, 0.1), (0.003, 0.001), (0.02, 0.7))

# what reads noise around zero there has no scale that fits: their tables are tested input by input
AT_A_POLE = ("Log", "Rsqrt")
# twice in one model, on inputs of some size, it spans more decades than a scale has
SPREADS = {"Exp": 0.2}


def made(cls: type[nn.Activation]) -> list[nn.Activation]:
    """As it is by default, and at the ends of its arguments."""
    ends = [{name: pair[i] for name, pair in cls.fields.items()} for i in (0, 1)]
    return [cls(), *(cls(**given) for given in ends if given)]


LAYERS = [layer for cls in nn.ACTIVATIONS for layer in made(cls)]
NAMED = pytest.mark.parametrize("layer", LAYERS, ids=lambda m: f"{m.op}-{vars(m).get('slope', '')}")


def model(layer: nn.Activation) -> nn.Model:
    """On a map and on features."""
    torch.manual_seed(3)
    body = nn.Sequential(
        *(nn.Conv2d(2, 5, 3, padding=1), layer, nn.Flatten()),
        *(nn.Linear(5 * 24, 9), layer, nn.Linear(9, 4)),
    )
    built = nn.Model(body, (2, 6, 4))
    built.calibrate(SPREADS.get(layer.op, 4) * torch.randn(60, 2, 6, 4).numpy())
    return built


def integers(built: nn.Model) -> Graph:
    rows = model_rows(built.calibration, built.input_shape, "the calibration rows")
    return quantize(graph_of(built), rows, "minmax", frozenset()).graph


def single(
    layer: nn.Activation, scale_in: float, scale_out: float, zeros: tuple[int, int]
) -> Graph:
    """The op alone, its table made, its kernel chosen, 256 inputs wide; the output's own scale
    where it has one.
    """
    attrs = OPS[layer.op].attrs(**{name: getattr(layer, name) for name in layer.fields})
    kinds = zip("xy", (scale_in, scale_out), zeros, strict=True)
    tensors = {
        n: TensorType((256,), "int8", Quant((float(np.float32(s)),), z)) for n, s, z in kinds
    }
    node = Node("one", layer.op, ("x",), ("y",), attrs)
    own = OPS[layer.op].scale(attrs, Io((tensors["x"],), tensors["y"]))
    if isinstance(own, Quant):
        tensors["y"] = replace(tensors["y"], quant=own)
    return select_kernels(lower(Graph("g", ("x",), ("y",), (node,), tensors, {})), frozenset())


@NAMED
@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize("zeros", [(0, 0), (-128, 127), (30, -4)])
def test_each_input_has_its_answer(
    layer: nn.Activation, scales: tuple[float, float], zeros: tuple[int, int]
) -> None:
    """The integers are PyTorch's layer within a step, and LiteRT's but for what is stated."""
    graph, x = single(layer, *scales, zeros), np.arange(-128, 128, dtype=np.int8)[None]
    got = run(graph, x).output.astype(int)
    given, out = graph.tensors["x"].quant, graph.tensors["y"].quant
    assert given is not None
    assert out is not None
    real = layer(torch.from_numpy((x.astype(float) - given.zero_point) * given.per_tensor))
    wanted = np.clip(real.detach().numpy() / out.per_tensor + out.zero_point, -128, 127)
    assert np.abs(got - wanted).max() <= 1.5
    file = tflite_model(graph, "one")
    assert_tflm_dtypes(file)
    apart = np.abs(run_tflite(file, x).logits.astype(int) - got)
    assert apart.max() <= STEPS_APART.get(layer.op, 0)


@NAMED
def test_a_model_in_c_and_onnx_is_the_reference(layer: nn.Activation, tmp_path: Path) -> None:
    built = model(layer)
    graph = integers(built)
    assert [n.op for n in graph.nodes].count(layer.op) == 2
    x = np.random.default_rng(0).integers(-128, 128, (40, 6, 4, 2), dtype=np.int8)
    c.assert_equals_reference(graph, c.answers(c.compiled(graph, tmp_path, tmp_path), graph, x), x)
    values = int8_values(graph, x)
    for node in (n for n in graph.nodes if n.op == layer.op):
        inputs = tuple(values[name] for name in node.inputs)
        reference = OPS[node.op].reference
        wanted = reference(node.attrs, io_of(graph, node), inputs, graph.params(node))
        assert np.abs(values[node.outputs[0]] - wanted.astype(int)).max() <= 1


@pytest.mark.parametrize("layer", [m for m in LAYERS if m.op not in AT_A_POLE], ids=lambda m: m.op)
def test_integers_follow_the_trained_model(layer: nn.Activation) -> None:
    built = model(layer)
    assert built.calibration is not None
    graph = integers(built)
    rows = model_rows(built.calibration, built.input_shape, "rows")
    quant, out = graph.tensors[graph.inputs[0]].quant, graph.tensors[graph.outputs[0]].quant
    assert quant is not None
    assert out is not None
    x = np.clip(np.round(rows / quant.per_tensor) + quant.zero_point, -128, 127).astype(np.int8)
    got = (run(graph, x).output.astype(float) - out.zero_point) * out.per_tensor
    wanted = built.predict(built.calibration)[0].astype(float)
    noise = ((got - wanted) ** 2).mean()
    assert 10 * np.log10((wanted**2).mean() / noise) > 20  # decibels


@NAMED
def test_the_model_file_keeps_the_layer(layer: nn.Activation, tmp_path: Path) -> None:
    built = model(layer)
    nn.save(built, tmp_path / "m.pt")
    again = nn.load(tmp_path / "m.pt")
    kept = [m for m in again.modules() if isinstance(m, nn.Activation)]
    assert [type(m) for m in kept] == [type(layer)] * 2
    assert all(getattr(m, name) == getattr(layer, name) for m in kept for name in layer.fields)
    x = np.asarray(built.calibration)[:9]
    np.testing.assert_array_equal(built.predict(x)[0], again.predict(x)[0])


@NAMED
def test_a_file_cannot_ask_for_a_value_out_of_range(layer: nn.Activation) -> None:
    config = nn.config_of(layer)
    for name, (low, high) in layer.fields.items():
        for value in (np.nextafter(low, -np.inf), np.nextafter(high, np.inf), float("nan"), "1"):
            with pytest.raises(ModelFile, match=name):
                nn.build({**config, name: value})
    with pytest.raises(ModelFile, match="fields"):
        nn.build({**config, "other": 1})


def test_every_op_of_the_look_up_kernel_is_a_layer() -> None:
    ops = {n for n, op in OPS.items() if isinstance(op.code, Call) and op.code.kernel == KERNEL}
    made = {"Quantize", *IMPORTED_FUNCTIONS}  # by a pass, and by importers
    assert ops - made == {cls.op for cls in nn.ACTIVATIONS}
    assert {cls.__name__ for cls in nn.ACTIVATIONS} <= set(nn.__all__)
