"""`edgeq estimate --explain`: a layer's kernels counted or refused, and the loop of the chosen."""

import re

import numpy as np
import pytest

from edgeq.bench.cases import CASES, layer_graph
from edgeq.board import load_board
from edgeq.emit.firmware_layers import layer_table
from edgeq.errors import BadInput
from edgeq.estimating.entry import _fallback_notes
from edgeq.estimating.explained import explained
from edgeq.estimating.hot_loop import repeats
from edgeq.estimating.routes import RouteCycles, RoutedModel
from edgeq.ir import Graph
from edgeq.passes.select_kernels import fallbacks, select_kernels
from edgeq.reporting.estimate_text import why_lines
from edgeq.toolchain import find_compiler


def lowered(shape: str, weight: str, board: str) -> Graph:
    graph = layer_graph(next(case for case in CASES if case.shape == shape), weight, "")
    return select_kernels(graph, load_board(board).features)


def test_a_layer_of_a_board_with_a_cache() -> None:
    board = load_board("nucleo_l4r5zi")
    graph = lowered("64x12", "t2", "nucleo_l4r5zi")
    said = explained(graph, "layer", board, find_compiler("auto"))
    head = "edgeq_fully_connected_s8_"
    kernels = {each["kernel"].removeprefix(head): each for each in said["kernels"]}
    fast, tables, plain = (kernels[name] for name in ("t2_dsp", "t5", "t2"))
    assert said["kernel"] == fast["kernel"]
    for isa in ("v6m", "mve"):
        other = kernels[f"t2_{isa}"]
        assert (other["why"], other["cycles"]) == (f"the core has no {isa}", None)
    assert fast["cycles"] < plain["cycles"] < tables["cycles"]
    assert 0 < said["loop"]["bytes"] <= said["loop"]["cache_bytes"] == 1024
    lines = why_lines({"board": board.name}, said)
    assert lines[0] == "nucleo_l4r5zi: layer (fully_connected) runs on " + fast["kernel"]
    assert "bytes of instruction cache" in lines[-1]
    with pytest.raises(BadInput, match="no layer 'lair' to explain; there are layer"):
        explained(graph, "lair", board, find_compiler("auto"))


def test_kernels_of_other_shapes_are_not_run() -> None:
    board = load_board("virtual_m4")
    said = explained(lowered("dw3x3", "s4", "virtual_m4"), "layer", board, find_compiler("auto"))
    why = {entry["kernel"]: entry["why"] for entry in said["kernels"]}
    assert said["kernel"] == "edgeq_depthwise_conv_2d_s8_s8_dsp"
    assert why["edgeq_depthwise_frame_s8_s8_dsp"] == "the layer has not its shape"
    assert why["edgeq_depthwise_conv_2d_s8_s8"] == why["edgeq_depthwise_conv_2d_s8_s4"] == ""


@pytest.mark.parametrize(
    ("names", "times"),
    [("abab", 2), ("abcabcabcd", 3), ("abcd", 1), ("abxxxxyz", 1), ("", 1)],
)
def test_repeats(names: str, times: int) -> None:
    assert repeats(list(names)) == times


def test_a_fall_to_plain_c_is_told_with_its_price() -> None:
    graph = layer_graph(next(case for case in CASES if case.shape == "dw3x3"), "s8", "")
    shift = graph.nodes[0].params["shift"]
    graph = graph.with_constants({shift: np.full_like(graph.constants[shift], 18)})
    board = load_board("virtual_m4")
    graph = select_kernels(graph, board.features)
    (fall,) = fallbacks(graph, board.features)
    assert re.fullmatch(
        r"layer runs on edgeq_depthwise_conv_2d_s8_s8, as an accumulator can reach "
        r"[\d,]+, of 1,073,741,824",
        str(fall),
    )
    subject = RoutedModel(graph, layer_table(graph), np.zeros((1, 0)), np.zeros((1, 0)))
    route = RouteCycles((), 6e6, (0, 0), (0.72e6,), 1, 0, "")
    (note,) = _fallback_notes(board, subject, [route])
    assert note == f"{fall}: 720,000 cycles (10.0 a multiply), up to 12.0% of a route"
    fast = lowered("dw3x3", "s8", "virtual_m4")
    assert fallbacks(fast, board.features) == ()
    assert fallbacks(graph, frozenset()) == ()
