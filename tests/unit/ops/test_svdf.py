"""SvdfFeature, SvdfTime: beside floats, ONNX Runtime, LiteRT, in C, frame by frame, refusals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeq.emit.onnx_check import run_onnx
from edgeq.emit.onnx_model import onnx_model
from edgeq.emit.tflite_check import assert_tflm_dtypes, run_tflite
from edgeq.emit.tflite_model import tflite_model
from edgeq.errors import UnsupportedOp
from edgeq.ops import OPS
from edgeq.ops.op import quant_of
from edgeq.ops.svdf_feature import SvdfFeature
from edgeq.ops.svdf_time import SvdfTime
from edgeq.passes import quantize
from edgeq.passes.float_forward import run_float
from edgeq.passes.stream import stream
from edgeq.passes.verify import verify
from edgeq.reference import io_of, output_codes, quantize_rows, real_inputs, run
from edgeq.streaming import check_step
from tests.factory import input_rows
from tests.svdf_cases import SIZES, SVDF_CASES, float_graph, rows_of
from tests.unit.emit import test_firmware as c

NAMED = pytest.mark.parametrize("name", SVDF_CASES)


@NAMED
def test_it_is_the_float_op_within_steps(name: str) -> None:
    """Of rounded inputs: what is left are the 8 bits of the frames' weights."""
    graph, x = SVDF_CASES[name](), rows_of(name)
    out, codes = quant_of(graph.tensors["y"]), quantize_rows(graph, x)
    wanted = run_float(float_graph(name), real_inputs(graph, codes)).values["y"]
    steps = np.clip(wanted / out.per_tensor + out.zero_point, -128, 127)
    apart = np.abs(run(graph, codes).output - steps)
    assert apart.max() <= 3
    assert apart.mean() < 0.5


@NAMED
def test_onnx_runtime_and_litert(name: str) -> None:
    """ONNX in floats, LiteRT with one rounding where the integers have two: a step at most."""
    graph = SVDF_CASES[name]()
    x = input_rows(np.random.default_rng(2), graph, 6)
    wanted, file = run(graph, x).output.astype(int), tflite_model(graph, "t")
    assert_tflm_dtypes(file)
    assert np.abs(run_tflite(file, x).logits.reshape(wanted.shape) - wanted).max() <= 1
    real = run_onnx(onnx_model(graph, "t").SerializeToString(), real_inputs(graph, x)).output
    channels_last = real.transpose(0, 2, 3, 1).reshape(len(real), -1)
    made = np.clip(output_codes(graph, channels_last), -128, 127)
    assert np.abs(made - wanted.reshape(made.shape)).max() <= 1


@pytest.mark.parametrize("name", ["svdf of rank 3, clamped", "svdf of a long memory"])
def test_c_is_the_reference(name: str, tmp_path: Path) -> None:
    """Under the sanitizers."""
    graph = SVDF_CASES[name]()
    x = input_rows(np.random.default_rng(3), graph, 20)
    c.assert_equals_reference(graph, c.answers(c.compiled(graph, tmp_path, tmp_path), graph, x), x)


@NAMED
@pytest.mark.parametrize("hop", [1, 2])
def test_a_step_is_the_whole_sequence_from_the_first_frame(name: str, hop: int) -> None:
    """Zeros before the first frame are what a reset leaves; the filters alone are kept."""
    graph, frames = SVDF_CASES[name](), SIZES[name].frames
    step = stream(graph, hop)
    assert check_step(step, graph).passed
    kept = [step.tensors[n.inputs[0]].dtype for n in step.nodes if n.op == "History"]
    assert kept == ["int16"] * (SIZES[name].memory > 1) + ["int8"]  # the answer is the window's
    hops = frames // hop
    x = input_rows(np.random.default_rng(5), graph, 3)[2:]
    rows = x[0, 0, : hops * hop].reshape(hops, 1, hop, -1)
    newest = run(step, rows).output[:, :, -hop:]
    whole = run(graph, x).output[0, 0, : hops * hop]
    np.testing.assert_array_equal(newest.reshape(whole.shape), whole)


def test_sums_are_modulo_2_to_the_32() -> None:
    """Full taps on full filters, as TensorFlow Lite Micro adds them."""
    graph = SVDF_CASES["svdf of a long memory"]()
    (node,) = (n for n in graph.nodes if n.op == "SvdfTime")
    name = node.params["taps"]
    taps = np.full_like(graph.constants[name], 32767)
    graph = graph.with_constants({name: taps}, {name: graph.tensors[name]})
    io = io_of(graph, node)
    x = np.full((1, *io.inputs[0].shape), 32767, np.int16)
    made = OPS["SvdfTime"].reference(node.attrs, io, (x,), graph.params(node))
    out = quant_of(io.output)
    few = 3 * 32767**2 + graph.param(node, "bias").astype(np.int64)  # beyond int32: negative
    assert (few > 2**31).all()
    assert (made[0, 0, 2] < out.zero_point).all()


def test_own_sums_never_leave_int32() -> None:
    """Whatever a float layer's taps and biases are."""
    graph = float_graph("svdf of a long memory")
    held = {**graph.constants, "bias": graph.constants["bias"] * 1e7}
    held["taps"] = held["taps"] * 1e3
    made = quantize(graph.with_constants(held), rows_of("svdf of a long memory"), "minmax").graph
    (node,) = (n for n in made.nodes if n.op == "SvdfTime")
    taps, bias = (made.param(node, r).astype(np.int64) for r in ("taps", "bias"))
    assert (np.abs(taps).sum(axis=0) * 32768 + np.abs(bias)).max() < 2**31


@pytest.mark.parametrize(
    ("attrs", "shape", "said"),
    [
        (SvdfFeature(), (5,), "takes frames"),
        (SvdfFeature(), (2, 3, 5), "takes frames"),
        (SvdfFeature(), (1, 3, 4), "do not fit frames"),
        (SvdfTime(0, 2), (1, 3, 6), "rank 0 do not fit"),
        (SvdfTime(4, 2), (1, 3, 6), "rank 4 do not fit"),
        (SvdfTime(2, 2), (1, 3, 5), "do not fit filters"),
        (SvdfTime(1, 2), (1, 3, 6), "6 units have a bias"),
        (SvdfTime(2, 3), (1, 3, 6), "no memory of 3"),
        (SvdfTime(2, 0), (1, 2, 6), "no memory of 3"),
    ],
)
def test_what_does_not_fit_is_said(
    attrs: SvdfFeature | SvdfTime, shape: tuple[int, ...], said: str
) -> None:
    params = {"feature_weight": np.zeros((6, 5)), "taps": np.zeros((3, 6)), "bias": np.zeros(3)}
    with pytest.raises(ValueError, match=said):
        OPS[type(attrs).__name__].result_shape(attrs, (shape,), params)


@pytest.mark.parametrize(("op", "at"), [("SvdfFeature", "f"), ("SvdfTime", "y")])
def test_types_that_no_kernel_has_are_refused(op: str, at: str) -> None:
    graph = SVDF_CASES["svdf"]()
    other = {"f": "int8", "y": "int16"}[at]
    wrong = graph.with_tensors({at: replace(graph.tensors[at], dtype=other)})
    with pytest.raises(UnsupportedOp, match=f"{op} takes int"):
        verify(wrong, "lowered")


def test_a_step_has_no_tflite_file() -> None:
    """The state is the graph's there, and SVDF's own in a .tflite."""
    step = stream(SVDF_CASES["svdf"](), 1)
    with pytest.raises(UnsupportedOp, match="keeps its own state, and filters is a part of one"):
        tflite_model(step, "t")
