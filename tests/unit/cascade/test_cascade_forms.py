"""Cascades in ONNX and TensorFlow Lite: signals, routes, ties, and that only stages needed run."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.emit.onnx_check import onnx_session, run_onnx
from edgeq.emit.onnx_model import onnx_model
from edgeq.emit.tflite_check import assert_tflm_dtypes, ops_used, run_tflite
from edgeq.emit.tflite_model import tflite_model
from edgeq.ir import Graph
from edgeq.ops.op import Array, quant_of
from edgeq.ops.signals import SIGNALS
from edgeq.passes.freeze_cascade import with_thresholds
from edgeq.reference import run, run_all_stages
from tests.factory import cascade_graph, input_rows
from tests.tflm.agreement import assert_agrees, chosen_names, expected_trace
from tests.tflm.interpreter import tflm_is_here
from tests.unit.emit.test_tflite_mixture import poison

THREE = cascade_graph(np.random.default_rng(4), ("t2", "s4", "s8"))
WIDE = {  # signals that their files hold in int16
    name: cascade_graph(np.random.default_rng(4), ("t2", "s4", "s8"), signal=name, classes=10)
    for name in SIGNALS
    if name not in ("gap", "router")  # whose heads are as those of Monte Carlo dropout
}
ROWS = input_rows(np.random.default_rng(1), THREE, 30)
LIMITS = st.tuples(*[st.sampled_from([0, 1, 7, 20, 40, 255, 256])] * 2)


def real(graph: Graph, x: Array) -> Array:
    quant = quant_of(graph.tensors[graph.inputs[0]])
    return ((x.astype(np.float64) - quant.zero_point) * quant.per_tensor).astype(np.float32)


def settled(graph: Graph, x: Array, steps: int) -> Array:
    """Rows whose signals lie more than `steps` from every threshold."""
    limits = graph.param(graph.nodes[-1], "thresholds")
    away = np.abs(run_all_stages(graph, x).signals - (limits - 0.5))
    return np.asarray((away > steps).all(axis=1))


@settings(max_examples=12, deadline=None)
@given(LIMITS)
def test_both_files_take_the_reference_routes(limits: tuple[int, int]) -> None:
    """Their outputs may be two steps off, and so their gaps four."""
    graph = with_thresholds(THREE, limits)
    wanted, clear = run(graph, ROWS), settled(graph, ROWS, 4)
    assert clear.sum() > 10
    model = tflite_model(graph, "t")
    assert_tflm_dtypes(model)
    assert "CUSTOM" not in ops_used(model)
    got = run_tflite(model, ROWS)
    onnx = run_onnx(onnx_model(graph, "t").SerializeToString(), real(graph, ROWS))
    quant = quant_of(graph.tensors[graph.outputs[0]])
    steps = np.round(onnx.output / quant.per_tensor) + quant.zero_point
    signal = wanted.uncertainty >> 24
    for route, output, doubt in (
        (got.route, got.logits, got.uncertainty),
        (onnx.route, steps, onnx.uncertainty),
    ):
        assert (route == wanted.route)[clear].all()
        same = route == wanted.route
        assert np.abs(output - wanted.output.astype(int))[same].max() <= 2
        assert np.abs(doubt - signal)[same].max() <= 4
    assert got.uncertainty_scale == pytest.approx(quant.per_tensor)


@settings(max_examples=6, deadline=None)
@given(LIMITS)
def test_tensorflow_lite_micro_gives_every_bit_and_runs_no_more(limits: tuple[int, int]) -> None:
    """Logits, route, signal, and the operators that it ran, in order."""
    if not tflm_is_here():
        pytest.skip("TensorFlow Lite Micro is not installed")
    graph = with_thresholds(THREE, limits)
    runs = assert_agrees(graph, ROWS[:6])
    wanted = run(graph, ROWS[:6])
    for got, signal in zip(runs, wanted.uncertainty >> 24, strict=True):
        assert int(got.outputs[2].reshape(-1)[0]) + 128 == signal


LONGEST = pytest.param("entropy", marks=pytest.mark.full)


@pytest.mark.parametrize("signal", [LONGEST, *sorted(WIDE.keys() - {"entropy"})])
def test_files_of_other_signals(signal: str) -> None:
    """Their logits may be two steps off, and the signal by as much as that moves it."""
    graph = WIDE[signal]
    rule, scale = SIGNALS[signal], quant_of(graph.tensors[graph.outputs[0]]).per_tensor
    for limits in (None, (rule.always, rule.never), (rule.always,) * 2, (rule.never,) * 2):
        made = graph if limits is None else with_thresholds(graph, limits)
        wanted = run(made, ROWS)
        model = tflite_model(made, "t")
        assert_tflm_dtypes(model)
        got = run_tflite(model, ROWS)
        onnx = run_onnx(onnx_model(made, "t").SerializeToString(), real(made, ROWS))
        clear = settled(made, ROWS, 4 * rule.step(scale))
        assert clear.sum() > 10
        values = wanted.uncertainty >> (24 - rule.fraction_bits)
        for route, signals in (
            (got.route, got.uncertainty * got.uncertainty_scale / rule.unit(scale)),
            (onnx.route, onnx.uncertainty),
        ):
            assert (route == wanted.route)[clear].all()
            same = route == wanted.route
            assert np.abs(signals - values)[same].max() <= 4 * rule.step(scale)
        if tflm_is_here():
            assert_agrees(made, ROWS[:8])


def equal_maxima(classes: int) -> tuple[Graph, Array]:
    """The first expert's last layer gives every class the same logit."""
    graph = cascade_graph(np.random.default_rng(5), classes=classes, thresholds=[1])
    node = graph.nodes[-1]
    first = node.attrs.experts[0].graph
    last = first.nodes[-1]
    same = {last.params[r]: np.zeros_like(first.param(last, r)) for r in ("weight", "bias")}
    first.constants.update(same)  # type: ignore[attr-defined]
    return graph, input_rows(np.random.default_rng(2), graph, 12)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_two_equal_maxima_give_0_in_every_form(classes: int) -> None:
    """And so go on at a threshold of 1, and stay at 0."""
    graph, x = equal_maxima(classes)
    for limit, route in ((1, 1), (0, 0)):
        made = with_thresholds(graph, [limit])
        wanted = run(made, x)
        assert not wanted.uncertainty.any()
        assert set(wanted.route.tolist()) == {route}
        onnx = run_onnx(onnx_model(made, "t").SerializeToString(), real(made, x))
        tflite = run_tflite(tflite_model(made, "t"), x)
        for form in (onnx, tflite):
            assert not form.uncertainty.any()
            assert set(form.route.tolist()) == {route}
        if tflm_is_here():
            assert_agrees(made, x[:2])


def test_onnx_runs_the_stages_that_are_needed_alone(tmp_path: Path) -> None:
    """By onnxruntime's own profile."""
    model = onnx_model(THREE, "t").SerializeToString()
    routes = run_onnx(model, real(THREE, ROWS)).route
    assert set(routes.tolist()) == {0, 1, 2}
    for row, route in list(zip(ROWS, routes, strict=True))[:12]:
        session = onnx_session(model, str(tmp_path / "profile"))
        session.run(None, {"input": real(THREE, row[None])})
        events = json.loads(Path(session.end_profiling()).read_text())
        ran = {e for e in range(3) if any(f"expert_{e}." in event["name"] for event in events)}
        assert ran == set(range(route + 1))


def test_litert_runs_the_stages_that_are_needed_alone() -> None:
    """Each later expert in turn is poisoned with an operator that fails when it is executed."""
    model = tflite_model(THREE, "t")
    clean = run_tflite(model, ROWS)
    for e in (1, 2):
        poisoned = poison(model, THREE.nodes[-1].attrs.experts[e].name)
        spared = clean.route < e
        assert 0 < spared.sum() < len(ROWS)
        assert (run_tflite(poisoned, ROWS[spared]).logits == clean.logits[spared]).all()
        with pytest.raises((RuntimeError, ValueError)):
            run_tflite(poisoned, ROWS[~spared][:1])


def test_the_expected_trace_tells_routes_apart() -> None:
    """What TensorFlow Lite Micro is held to would notice a stage too many."""
    model = tflite_model(THREE, "t")
    found = [expected_trace(model, chosen_names(THREE, np.array(c))) for c in ([0], [1, 0], [2, 1])]
    assert len({len(trace) for trace in found}) == 3
    layers = ("FULLY_CONNECTED", "CONV_2D")  # narrow rows with scales of their own are the latter
    assert [sum(map(trace.count, layers)) for trace in found] == [2, 4, 6]


def test_a_trunk_and_layers_behind() -> None:
    for trunk in ("fc", "conv"):
        graph = cascade_graph(np.random.default_rng(6), trunk=trunk)
        x = input_rows(np.random.default_rng(1), graph, 20)
        wanted, clear = run(graph, x), settled(graph, x, 5)
        got = run_tflite(tflite_model(graph, "t"), x)
        onnx = run_onnx(onnx_model(graph, "t").SerializeToString(), real(graph, x))
        for form in (got, onnx):
            assert (form.route == wanted.route)[clear].all()
