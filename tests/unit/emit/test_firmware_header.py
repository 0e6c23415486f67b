"""What the header of a model says, in numbers and in words."""

import dataclasses

import numpy as np
import pytest

from edgeq.emit.firmware_header import about, defines, exact, scale_defines
from edgeq.ir import Graph
from edgeq.memory import plan_memory
from edgeq.ops.op import quant_of
from tests.factory import conv_graph, fc_graph, mixture_graph


def values_of(graph: Graph, names: list[str] | None = None) -> dict[str, str]:
    plan = plan_memory(graph)
    said = defines(graph, plan, 7, "net", "ab" * 32, None, names)
    return {d.name: d.value for d in said}


def test_sizes_and_names() -> None:
    graph = conv_graph(np.random.default_rng(1))
    said = values_of(graph, ["cat", "d*/og"])
    assert said["MODEL_NAME"] == '"net"'
    assert said["MODEL_DIGEST"] == f'"{"ab" * 32}"'
    assert (said["INPUT_BYTES"], said["INPUT_SHAPE"]) == (str(9 * 7 * 3), "{9, 7, 3}")
    assert said["OUTPUT_COUNT"] == "4"
    assert said["CLASS_NAMES"] == '{"cat", "d_/og"}'
    assert said["ARENA_BYTES"] == str(plan_memory(graph).arena_bytes)
    assert (said["LAYER_COUNT"], said["EXPERT_COUNT"]) == ("7", "0")
    ends = (graph.inputs[0], "INPUT"), (graph.outputs[0], "OUTPUT")
    for tensor, name in ends:
        quant = quant_of(graph.tensors[tensor])
        assert said[f"{name}_SCALE"] == exact(quant.per_tensor)
        assert said[f"{name}_ZERO_POINT"] == f"({quant.zero_point})"


def test_without_class_names_and_with_experts() -> None:
    said = values_of(mixture_graph(np.random.default_rng(1)))
    assert "CLASS_NAMES" not in said
    assert said["EXPERT_COUNT"] == "3"


def test_words() -> None:
    graph = conv_graph(np.random.default_rng(1))
    given, made = (quant_of(graph.tensors[n]) for n in (graph.inputs[0], graph.outputs[0]))
    numbers = [f"    real number = {exact(q.per_tensor)} * (code - ({q.zero_point}))"
               for q in (given, made)]  # fmt: skip
    head = "Input: 9x7x3 int8, in the order height, width, channels."
    assert about(graph, None) == (head, numbers[0], "Output: 4 int8.", numbers[1])
    classes = about(graph, ["a", "b", "c", "d"])
    assert classes[:3] == (head, numbers[0], "Output: 4 int8.")
    assert classes[3] == f"{numbers[1]}, one a class of 4"
    first = dataclasses.replace(graph.nodes[0], name="normalise")
    raw = about(graph.with_nodes((first, *graph.nodes[1:])), None)
    assert raw[1] == f"{numbers[0]}, raw: (x - mean) / std is layer normalise of the model"
    assert raw[3] == numbers[1]
    flat = about(fc_graph(np.random.default_rng(1), ("s8",)), None)
    assert flat[0] == "Input: 13 int8."


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (2**32 - 1, "4294967295u"),
        (2**32, "UINT64_C(4294967296)"),
        (2**32 + 1, "UINT64_C(4294967297)"),
        (2**63 - 2**10, f"UINT64_C({2**63 - 2**10})"),
        (2**63, None),  # no more: what reads it may be signed
        (1000, "1000u"),
    ],
)
def test_billionths_take_the_narrowest_type(nano: int, text: str | None) -> None:
    assert round(nano / 1e9 * 1e9) == nano
    assert scale_defines("S", nano / 1e9).get("S_NANO") == text


@pytest.mark.parametrize(("scale", "there"), [(1.4e-3 / 1e6, False), (1 / 3, True)])
def test_billionths_only_where_they_are_right_to_a_millionth(scale: float, there: bool) -> None:
    assert ("S_NANO" in scale_defines("S", scale)) == there
