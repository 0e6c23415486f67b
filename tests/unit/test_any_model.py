"""A model is refused when it is built, or it saves, loads, exports and answers as its reference."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from edgeq import nn
from edgeq.emit.apart import Apart
from edgeq.emit.firmware import firmware_project
from edgeq.emit.onnx_model import onnx_model
from edgeq.emit.tflite_model import tflite_model
from edgeq.errors import UnsupportedOp
from edgeq.frontend.torch_loader import graph_of
from edgeq.ir import Graph
from edgeq.memory import plan_memory
from edgeq.ops.op import Array
from edgeq.passes import quantize
from edgeq.reference import quantize_rows, run
from edgeq.weights import pack_weights
from tests.hang import HANG_S

torch.set_num_threads(1)
EXAMPLES = int(os.environ.get("EDGEQ_EXAMPLES", "10"))
ROWS, DIGEST = 24, "0123456789abcdef" * 4
DRIVER = """
#include <stdio.h>
#include "model/model.h"
uint32_t hal_cycles(void);
uint32_t hal_cycles(void) { return 0; }
int main(void) {
    int8_t input[EDGEQ_INPUT_BYTES], output[EDGEQ_OUTPUT_COUNT];
    edgeq_init();
    while (fread(input, 1, sizeof input, stdin) == sizeof input) {
        if (edgeq_infer(input, output) != 0) return 3;
        fwrite(output, 1, sizeof output, stdout);
    }
    return 0;
}
"""
Draw = Any
Drawn = tuple[Any, tuple[int, ...], float]  # body, input shape, size of the inputs
KINDS = sorted(nn.KINDS)


def flat_layer(draw: Draw, n: int) -> Any:
    name = draw(st.sampled_from(("linear",) * 4 + ("norm", "relu", "relu6", "batch", "residual")))
    kind = draw(st.sampled_from(KINDS))
    if name == "linear":
        options = {"bias": draw(st.booleans()), "per_tensor": draw(st.integers(0, 3)) == 0}
        return nn.Linear(n, draw(st.integers(1, 6)), kind, **options)
    if name == "residual":
        inner = nn.Sequential(nn.Linear(n, n, kind), nn.ReLU())
        return nn.Residual(inner, nn.Linear(n, n) if draw(st.booleans()) else None)
    return {"norm": nn.LayerNorm, "batch": nn.BatchNorm1d}.get(name, lambda _: nn.ReLU())(n)


def map_layer(draw: Draw, shape: tuple[int, ...]) -> Any:
    channels, *sizes = shape
    one = len(sizes) == 1
    names = ["conv", "conv", "depthwise", "relu", "relu6", "batch", "pool", "flat"]
    name = draw(st.sampled_from(names if one else [*names, "max", "mean"]))
    kind = draw(st.sampled_from(KINDS))
    kernel = draw(st.integers(1, min(3, *sizes)))
    if name in ("conv", "depthwise"):
        out = channels if name == "depthwise" else draw(st.integers(1, 5))
        layer: Any = nn.Conv1d if one else nn.Conv2d
        more = {"stride": draw(st.integers(1, 2)), "padding": draw(st.integers(0, kernel // 2))}
        groups = channels if name == "depthwise" else 1
        return layer(channels, out, kernel, kind, groups=groups, bias=draw(st.booleans()), **more)
    if name in ("max", "mean"):
        return nn.MaxPool2d(kernel) if name == "max" else nn.AvgPool2d(kernel)
    plain = {"relu": nn.ReLU, "relu6": nn.ReLU6, "pool": nn.GlobalAvgPool, "flat": nn.Flatten}
    return plain[name]() if name in plain else (nn.BatchNorm1d if one else nn.BatchNorm2d)(channels)


def chain(draw: Draw, shape: tuple[int, ...], most: int) -> tuple[list[Any], tuple[int, ...]]:
    """Layers and the shape that they give; most chains fit together."""
    layers = []
    for _ in range(draw(st.integers(0, most))):
        layer = flat_layer(draw, *shape) if len(shape) == 1 else map_layer(draw, shape)
        layers.append(layer)
        shape = tuple(layer.eval()(torch.zeros(2, *shape)).shape[1:])
    return layers, shape


def mixture(draw: Draw, shape: tuple[int, ...]) -> Any:
    classes = draw(st.integers(1, 4))
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=2, max_size=3))
    experts = []
    for kind in kinds:
        layers, after = chain(draw, shape, 2)
        if len(after) > 1:
            layers, after = [*layers, nn.GlobalAvgPool()], after[:1]
        experts.append(nn.Sequential(*layers, nn.Linear(after[0], classes, kind)))
    router = nn.BayesianRouter(shape[0], len(kinds), (4, 3), passes=3)
    rule = draw(st.sampled_from(("precision_prior", "escalation", "off")))
    gate = draw(st.sampled_from(("none", "probability")))
    return nn.Mixture(experts, router, kinds, draw(st.integers(1, 2)), gate, rule)


def spoil(draw: Draw, body: Any) -> None:
    """Some weights and norms go where training rarely brings them."""
    for name, value in [*body.named_parameters(), *body.named_buffers()]:
        if draw(st.integers(0, 3)) or name.endswith(("low", "high", "tracked")) or "u_" in name:
            continue
        factor = draw(st.sampled_from((0.0, 1e-9, 1e-3, 30.0, 1e4)))
        if name.endswith("running_var"):
            value.data.fill_(max(factor, 1e-9))
        elif name.endswith(("bias", "running_mean")):
            value.data.fill_(draw(st.sampled_from((-1e4, -100.0, 0.0, 3.0, 1e4))))
        else:
            value.data.mul_(factor)


@st.composite
def bodies(draw: Draw) -> Drawn:
    torch.manual_seed(draw(st.integers(0, 10_000)))
    shape = draw(
        st.one_of(
            st.tuples(st.integers(1, 9)),
            st.tuples(st.integers(1, 3), st.integers(1, 9)),
            st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)),
        )
    )
    layers, after = chain(draw, shape, 4)
    if draw(st.booleans()):
        layers.append(mixture(draw, after))
    elif len(after) > 1:
        layers += [nn.GlobalAvgPool(), nn.Linear(after[0], 3)]
    elif draw(st.booleans()):
        layers += [nn.Linear(after[0], 3), nn.Softmax()]
    body = nn.Sequential(*layers)
    if draw(st.booleans()):
        spoil(draw, body)
    return body, shape, draw(st.sampled_from((1.0, 1.0, 1e-4, 1e4)))


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc on this machine")
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    with Apart() as runs:
        yield runs


def gcc(folder: Path, *arguments: str) -> None:
    flags = ["-std=c99", "-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all", *arguments]
    done = subprocess.run(
        ["gcc", *flags], cwd=folder, capture_output=True, text=True, timeout=HANG_S
    )
    assert done.returncode == 0, done.stderr


def device_answers(graph: Graph, rows: Array, folder: Path, objects: Path) -> Array:
    """Outputs of the C firmware on this computer."""
    project = firmware_project(
        graph, plan_memory(graph), pack_weights(graph), model_name="m", digest=DIGEST
    )
    project.write(folder / "firmware")
    (folder / "driver.c").write_text(DRIVER)
    inputs = ["driver.c", *(f"firmware/{n}" for n in project.files if re.match(r"model/.*\.c$", n))]
    for name in (n for n in project.files if n.startswith("kernels/") and n.endswith(".c")):
        kept = objects / f"{Path(name).stem}.o"
        if not kept.exists():
            gcc(folder / "firmware", "-c", name, "-o", str(kept))
        inputs.append(str(kept))
    gcc(folder, "-Ifirmware", *inputs, "-o", "driver")
    done = subprocess.run(
        [folder / "driver"], input=rows.tobytes(), capture_output=True, timeout=HANG_S
    )
    assert done.returncode == 0, done.stderr.decode()
    return np.frombuffer(done.stdout, np.int8).reshape(len(rows), -1)


def built(body: Any, shape: tuple[int, ...]) -> nn.Model | None:
    try:
        return nn.Model(body, shape, name="any")
    except UnsupportedOp as error:
        event(str(error)[:60])
        return None


def check(drawn: Drawn, folder: Path, objects: Path, apart: Apart) -> None:
    body, shape, scale = drawn
    model = built(body, shape)
    if model is None:
        return
    x = torch.randn(ROWS, *shape, generator=torch.Generator().manual_seed(1)) * scale
    model.train()(x)
    model.calibrate(x.numpy())
    nn.save(model, folder / "m.pt")
    again = nn.load(folder / "m.pt")
    with torch.no_grad():
        wanted = model.eval()(x)
        assert torch.equal(wanted, again(x))
    rows = np.ascontiguousarray(np.moveaxis(x.numpy(), 1, -1))
    rows = rows[:, None] if rows.ndim == 3 else rows
    graph = quantize(graph_of(again), rows, "mse").graph
    codes = quantize_rows(graph, rows)
    reference = run(graph, codes)
    output = reference.output.reshape(ROWS, -1)
    np.testing.assert_array_equal(device_answers(graph, codes, folder, objects), output)
    apart.onnx(onnx_model(graph, "m", DIGEST).SerializeToString(), rows)
    tflite = tflite_of(graph)
    if tflite is not None:
        apart.tflite(tflite, codes)


def tflite_of(graph: Graph) -> bytes | None:
    """None for the one thing that TensorFlow Lite has no form for."""
    try:
        return tflite_model(graph, "m", DIGEST)
    except UnsupportedOp as error:
        if "16-bit" not in str(error):
            raise
        return None


QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


@settings(max_examples=max(EXAMPLES // 2, 3), suppress_health_check=QUIET)
@given(bodies())
def test_any_model(
    tmp_path_factory: pytest.TempPathFactory, objects: Path, apart: Apart, drawn: Drawn
) -> None:
    check(drawn, tmp_path_factory.mktemp("model"), objects, apart)


@pytest.mark.full
@settings(max_examples=10 * EXAMPLES, suppress_health_check=QUIET)
@given(bodies())
def test_any_model_of_many(
    tmp_path_factory: pytest.TempPathFactory, objects: Path, apart: Apart, drawn: Drawn
) -> None:
    check(drawn, tmp_path_factory.mktemp("model"), objects, apart)
