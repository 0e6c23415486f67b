"""The generated C is compiled for this machine and must answer as the reference does."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgeq.emit.firmware import firmware_project, layer_table
from edgeq.emit.firmware_arrays import plain_text
from edgeq.emit.firmware_header import scale_defines
from edgeq.emit.firmware_layers import snake_case
from edgeq.errors import BadInput
from edgeq.firmware_project import FirmwareProject
from edgeq.ir import Graph, Node, TensorType
from edgeq.memory import plan_memory
from edgeq.ops import OPS
from edgeq.ops.fixed_point import exp_table, softmax_q15
from edgeq.ops.relu import Relu
from edgeq.ops.softmax import OUTPUT_QUANT, Softmax
from edgeq.passes.select_kernels import select_kernels
from edgeq.reference import quantize_rows, run
from edgeq.weights import pack_weights
from tests.factory import conv_graph, fc_graph, input_rows, mixture_graph, smallest_mixture
from tests.hang import HANG_S
from tests.port_graphs import with_delay

DIGEST = "0123456789abcdef" * 4
ROOT = Path(__file__).parents[3]
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")

# reads inputs from stdin, writes output, route, uncertainty and confidence of each to stdout
DRIVER = r"""
#include <stdio.h>
#include "model/model.h"
uint32_t hal_cycles(void);
uint32_t hal_cycles(void) { static uint32_t now; return now += 7; }
int main(void) {
    int8_t input[EDGEQ_INPUT_BYTES], output[EDGEQ_OUTPUT_COUNT];
    uint32_t routes[8] = {0};
    edgeq_init();
    if (edgeq_route() != -1 || edgeq_confidence() != 0 || edgeq_infer(0, output) != -1) return 2;
    while (fread(input, 1, sizeof input, stdin) == sizeof input) {
        if (edgeq_infer(input, output) != 0) return 3;
        int32_t record[3] = {edgeq_route(), (int32_t)edgeq_uncertainty(),
                             (int32_t)edgeq_confidence()};
        fwrite(output, 1, sizeof output, stdout);
        fwrite(record, 1, sizeof record, stdout);
        fwrite(edgeq_layer_cycles, 1, sizeof edgeq_layer_cycles, stdout);
        if (edgeq_route() >= 0) routes[edgeq_route()]++;
    }
#if EDGEQ_EXPERT_COUNT > 0
    if (edgeq_route_count(-1) != 0 || edgeq_route_count(EDGEQ_EXPERT_COUNT) != 0) return 4;
    for (int32_t i = 0; i < EDGEQ_EXPERT_COUNT; i++) {
        if (edgeq_route_count(i) != routes[i]) return 5;
    }
#endif
    return 0;
}
"""


def project_of(graph: Graph) -> FirmwareProject:
    packed = pack_weights(graph)
    return firmware_project(graph, plan_memory(graph), packed, model_name="m", digest=DIGEST)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled kernels, so that each is compiled once: no model changes them."""
    return tmp_path_factory.mktemp("objects")


def gcc(folder: Path, *arguments: str) -> None:
    """Runs gcc with every warning an error; skips where there is none."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc on this machine")
    command = ["gcc", "-std=c99", *WARNINGS, *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=HANG_S)
    assert result.returncode == 0, result.stderr


def compiled(graph: Graph, folder: Path, objects: Path, *flags: str) -> Path:
    """The model with the driver as a program."""
    project = project_of(graph)
    project.write(folder / "firmware")
    (folder / "driver.c").write_text(DRIVER)
    inputs = ["driver.c", *(f"firmware/{n}" for n in project.files if re.match(r"model/.*\.c$", n))]
    for name in (n for n in project.files if n.startswith("kernels/") and n.endswith(".c")):
        kept = objects / f"{Path(name).stem}.o"
        if not kept.exists():
            gcc(folder / "firmware", *SANITIZE, "-c", name, "-o", str(kept))
        inputs.append(str(kept))
    gcc(folder, *SANITIZE, *flags, "-Ifirmware", *inputs, "-o", "driver")
    return folder / "driver"


def answers(program: Path, graph: Graph, x: np.ndarray) -> np.ndarray:
    """Records of the program: output, route, uncertainty, confidence, layer cycles."""
    result = subprocess.run([program], input=x.tobytes(), capture_output=True, timeout=HANG_S)
    assert result.returncode == 0, result.stderr.decode()
    count = graph.tensors[graph.outputs[0]].size
    layers = len(layer_table(graph))
    fields = [("output", "i1", (count,)), ("route", "<i4"), ("uncertainty", "<u4")]
    return np.frombuffer(
        result.stdout, np.dtype([*fields, ("confidence", "<u4"), ("cycles", "<u4", (layers,))])
    )


def assert_equals_reference(graph: Graph, records: np.ndarray, x: np.ndarray) -> None:
    expected = run(graph, x)
    output = expected.output.reshape(len(x), -1)
    np.testing.assert_array_equal(records["output"], output)
    np.testing.assert_array_equal(records["route"], expected.route)
    np.testing.assert_array_equal(records["uncertainty"], expected.uncertainty)
    quant = graph.tensors[graph.outputs[0]].quant
    assert quant is not None
    if graph.nodes[-1].op == "Softmax":
        confidence = (output.astype(int).max(axis=1) + 128) << 7
    else:
        confidence = softmax_q15(output, exp_table(quant.per_tensor)).max(axis=1)
    np.testing.assert_array_equal(records["confidence"], confidence)


def rng(seed: int = 11) -> np.random.Generator:
    return np.random.default_rng(seed)


def behind_a_mixture() -> Graph:
    """Layers behind the mixture: ReLU, and Softmax in another quant."""
    graph = mixture_graph(rng(), "plain", "off", 1, "probability")
    first, *more = graph.outputs
    given = graph.tensors[first]
    made = {
        "relu.out": given,
        "softmax.out": replace(given, quant=OUTPUT_QUANT),
        "table": TensorType((256,), "uint16"),
    }
    relu = Node("relu", "Relu", (first,), ("relu.out",), Relu("relu"), {}, "edgeq_relu_s8")
    softmax = Node(
        "softmax", "Softmax", ("relu.out",), ("softmax.out",), Softmax(),
        {"exp_table": "table"}, "edgeq_softmax_s8",
    )  # fmt: skip
    return replace(
        graph,
        nodes=(*graph.nodes, relu, softmax),
        tensors={**graph.tensors, **made},
        outputs=("softmax.out", *more),
        constants={**graph.constants, "table": exp_table(given.quant.per_tensor)},
    )


GRAPHS: dict[str, Callable[[], Graph]] = {
    "fc_all_formats": lambda: fc_graph(rng(), ("s16", "s8", "s4", "s3", "s2", "t2", "b1")),
    "fc_softmax": lambda: fc_graph(rng(), softmax=True),
    "fc_single": lambda: fc_graph(rng(), ("t2",)),
    "conv": lambda: conv_graph(rng()),
    "conv_narrow": lambda: conv_graph(rng(), ("b1", "s3", "s2")),
    "precision_prior": lambda: mixture_graph(rng()),
    "escalation": lambda: mixture_graph(rng(), rule="escalation", trunk="fc"),
    "off": lambda: mixture_graph(rng(), rule="off", trunk="conv"),
    "plain": lambda: mixture_graph(rng(), "plain", "off"),
    "top_2": lambda: mixture_graph(rng(), top_k=2, gate="probability"),
    "gated_plain": lambda: mixture_graph(rng(), "plain", "off", 1, "probability", trunk="conv"),
    "shallow_router": lambda: mixture_graph(rng(), router_layers=2, formats=("s3", "b1")),
    "smallest": smallest_mixture,
    "behind": behind_a_mixture,
    "frames": with_delay,
    # as a model without a name of its own: its header is no other file's guard
    "nameless": lambda: replace(fc_graph(rng(), ("t2",)), name="model"),
}
SAMPLED = ("fc_all_formats", "conv", "precision_prior", "top_2", "nameless", "behind", "frames")


@pytest.mark.parametrize("features", [frozenset(), frozenset({"dsp"})], ids=["plain", "dsp"])
@pytest.mark.parametrize(
    "name", [n if n in SAMPLED else pytest.param(n, marks=pytest.mark.full) for n in GRAPHS]
)
def test_compiled_model_equals_the_reference(
    name: str, features: frozenset[str], tmp_path: Path, objects: Path
) -> None:
    graph = select_kernels(GRAPHS[name](), features)
    assert any("_dsp" in str(n.kernel) for n in graph.nodes) == ("dsp" in features)
    x = input_rows(rng(1), graph, 200)
    program = compiled(graph, tmp_path, objects)
    records = answers(program, graph, x)
    assert_equals_reference(graph, records, x)
    if any(node.op == "Mixture" for node in graph.nodes):
        assert len(np.unique(records["route"])) > 1
    assert not records["cycles"].any()


def test_profile_counts_the_layers_that_ran(tmp_path: Path, objects: Path) -> None:
    graph = mixture_graph(rng(), trunk="fc")
    x = input_rows(rng(1), graph, 60)
    program = compiled(graph, tmp_path, objects, "-DEDGEQ_PROFILE")
    records = answers(program, graph, x)
    assert_equals_reference(graph, records, x)
    names = [expert.name for expert in graph.nodes[-1].attrs.experts]
    for layer in layer_table(graph):
        ran = records["cycles"][:, layer.index] == 7
        expected = np.full(len(x), True)
        if layer.expert is not None:
            expected = records["route"] == names.index(layer.expert)
        np.testing.assert_array_equal(ran, expected)


def test_gate_cycles_add_up_over_experts(tmp_path: Path, objects: Path) -> None:
    graph = mixture_graph(rng(), top_k=2, gate="probability")
    program = compiled(graph, tmp_path, objects, "-DEDGEQ_PROFILE")
    records = answers(program, graph, input_rows(rng(1), graph, 5))
    gate = next(x.index for x in layer_table(graph) if x.name == "gate")
    assert (records["cycles"][:, gate] == 4 * 7).all()  # start, two experts, finish


def test_only_called_kernels_are_copied() -> None:
    files = project_of(fc_graph(rng(), ("t2",))).files
    kernels = {n for n in files if n.startswith("kernels/") and n.endswith(".c")}
    assert kernels == {
        "kernels/edgeq_fully_connected_s8_t2.c",
        "kernels/edgeq_confidence_s8.c",
        "kernels/edgeq_softmax_q15.c",
    }
    source = ROOT / "firmware_templates" / "kernels" / "edgeq_fully_connected_s8_t2.c"
    assert files["kernels/edgeq_fully_connected_s8_t2.c"] == source.read_bytes()
    assert {"main.c", "port/hal.h", "runtime/protocol.c"} <= set(files)


@pytest.mark.parametrize("name", GRAPHS)
def test_every_source_finds_its_headers_in_the_project(name: str) -> None:
    files = project_of(GRAPHS[name]()).files
    for path, text in files.items():
        if path.startswith(("kernels/", "model/")):
            for header in re.findall(r'#include "([^"]+)"', text.decode()):
                assert {header, f"kernels/{header}"} & set(files), f"{path} includes {header}"


@pytest.mark.full
def test_text_is_the_same_under_any_hash_seed() -> None:
    script = (
        "from tests.unit.emit.test_firmware import GRAPHS, project_of\n"
        "print(*(project_of(GRAPHS[n]()).digest() for n in ('top_2', 'conv')))"
    )
    digests = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", script]
        result = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=HANG_S
        )
        assert result.returncode == 0, result.stderr
        digests.add(result.stdout)
    assert len(digests) == 1


def test_layer_table_of_a_mixture() -> None:
    graph = mixture_graph(rng(), trunk="fc", top_k=2, gate="probability")
    packed = pack_weights(graph)
    table = layer_table(graph, packed)
    assert [x.index for x in table] == list(range(len(table)))
    assert [x.name for x in table[1:3]] == ["router", "gate"]
    assert [x.expert for x in table[:3]] == [None] * 3
    assert {x.expert for x in table[3:]} == {"t2_0", "s4_1", "s8_2"}
    assert {x.op for x in table} <= {snake_case(op) for op in OPS} | {"mixture"}
    table_bytes = sum(c.bytes for c in packed.constants if c.role == "exp_table")
    assert sum(x.weight_bytes for x in table) >= packed.total_bytes - table_bytes
    assert table[0].macs == 11 * 11


def test_snake_case() -> None:
    ops = ("FullyConnected", "Conv2D", "DepthwiseConv2D", "AveragePool2D", "Add", "LayerNorm")
    expected = "fully_connected conv_2d depthwise_conv_2d average_pool_2d add layer_norm"
    assert " ".join(map(snake_case, ops)) == expected


@pytest.mark.parametrize("name", ["x*/ int y; /*", 'a"b', "a\nb", "a\\", "ö??/", "n" * 500])
def test_names_cannot_leave_their_comment(name: str) -> None:
    text = plain_text(name)
    assert not set('*"\n\\?') & set(text)
    assert text.isascii()
    assert len(text) <= 80


@pytest.mark.parametrize("digest", ["", "ab", "A" * 64, "g" * 64, "0" * 64 + "\n"])
def test_a_digest_that_is_none_is_refused(digest: str) -> None:
    graph = fc_graph(rng(), ("s8",))
    with pytest.raises(BadInput, match="64 hexadecimal"):
        firmware_project(
            graph, plan_memory(graph), pack_weights(graph), model_name="m", digest=digest
        )


@pytest.mark.parametrize(
    ("mlperf_id", "lines"),
    [
        (None, ()),
        ("kws01", ('#define FC_CHAIN_MLPERF_ID "kws01"',)),
        ("vww01", ('#define FC_CHAIN_MLPERF_ID "vww01"', "#define FC_CHAIN_MLPERF_PIXELS 1")),
        ("ad01", ('#define FC_CHAIN_MLPERF_ID "ad01"', "#define FC_CHAIN_MLPERF_FLOATS 1")),
        ("sww01", ('#define FC_CHAIN_MLPERF_ID "sww01"',)),
    ],
)
def test_the_header_names_the_benchmark(mlperf_id: str | None, lines: tuple[str, ...]) -> None:
    graph = fc_graph(rng(), ("s8",))
    packed, plan = pack_weights(graph), plan_memory(graph)
    project = firmware_project(
        graph, plan, packed, model_name="m", digest=DIGEST, mlperf_id=mlperf_id
    )
    header = project.files["model/fc_chain.h"].decode().splitlines()
    assert tuple(line for line in header if "MLPERF" in line) == lines


@given(st.floats(2.0**-60, 2.0**60, width=32))
@example(16.050001)
@example(3.92e-9)
@example(1 / 256)
def test_case_08_the_header_says_no_wrong_scale(value: float) -> None:
    scale = float(np.float32(value))
    defines = scale_defines("S", scale)
    mantissa, exponent = (int(defines[f"S_{k}"].strip("()u")) for k in ("MANTISSA", "EXPONENT"))
    assert 2**23 <= mantissa < 2**24
    assert Fraction(mantissa) * Fraction(2) ** exponent == Fraction(scale)
    assert float(defines["S"]) == scale
    nano = defines.get("S_NANO")
    assert scale < 1e-3 or scale > 2**33 or nano is not None
    if nano is not None:
        number = int(re.sub(r"UINT64_C\(|u|\)", "", nano))
        assert abs(number - scale * 1e9) <= 1e-6 * scale * 1e9
        assert nano.startswith("UINT64_C") == (number >= 2**32)


def test_unknown_mlperf_id_is_refused() -> None:
    graph = fc_graph(rng(), ("s8",))
    packed, plan = pack_weights(graph), plan_memory(graph)
    with pytest.raises(BadInput, match="ic01"):
        firmware_project(graph, plan, packed, model_name="m", digest=DIGEST, mlperf_id="none")


QUANTIZE = r"""
#include <cstdio>
#include "model/fc_chain.h"
int main() {
    float x;
    while (std::fread(&x, sizeof x, 1, stdin) == 1) {
        int8_t code = fc_chain_quantize(x);
        float back = fc_chain_dequantize(code);
        std::fwrite(&code, 1, 1, stdout);
        std::fwrite(&back, sizeof back, 1, stdout);
    }
    return 0;
}
"""


def test_the_header_quantises_as_the_host_does_from_cpp_too(tmp_path: Path) -> None:
    """Ties, ends, infinities and nothing in between; compiled as C++17 with every warning."""
    if shutil.which("g++") is None:
        pytest.skip("no g++ on this machine")
    graph = fc_graph(rng(), ("s8",))
    project_of(graph).write(tmp_path / "firmware")
    (tmp_path / "main.cpp").write_text(QUANTIZE)
    flags = ["-std=c++17", "-pedantic", *WARNINGS, "-Ifirmware"]
    made = subprocess.run(
        ["g++", *flags, "main.cpp", "-o", "main"], cwd=tmp_path, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    scale = graph.tensors[graph.inputs[0]].quant.per_tensor
    ties = (np.arange(-300, 300) + 0.5) * scale
    ends = [np.inf, -np.inf, 3e38, -3e38, 0.0, 1e-40, scale]
    x = np.concatenate([ties, rng(4).normal(size=2000), ends]).astype("<f4")
    said = subprocess.run(
        [tmp_path / "main"], input=x.tobytes(), capture_output=True, timeout=HANG_S
    )
    records = np.frombuffer(said.stdout, [("code", "i1"), ("back", "<f4")])
    with np.errstate(over="ignore"):
        wanted = quantize_rows(graph, x)
    np.testing.assert_array_equal(records["code"], wanted)
    out = graph.tensors[graph.outputs[0]].quant
    real = (records["code"].astype(float) - out.zero_point) * out.per_tensor
    np.testing.assert_array_equal(records["back"], real.astype("<f4"))
