"""`edgeq estimate --explain`: a layer's kernels counted or refused, and the loop of the chosen."""

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
    fast, other, tables, plain = said["kernels"]
    assert said["kernel"] == fast["kernel"] == "edgeq_fully_connected_s8_t2_dsp"
    assert (other["why"], other["cycles"]) == ("the core has no v6m", None)
    assert fast["cycles"] < plain["cycles"] < tables["cycles"]
    assert 0 < said["loop"]["bytes"] <= said["loop"]["cache_bytes"] == 1024
    lines = why_lines({"board": board.name}, said)
    assert lines[0] == "nucleo_l4r5zi: layer (fully_connected) runs on " + fast["kernel"]
    assert "bytes of instruction cache" in lines[-1]
    with pytest.raises(BadInput, match="no layer 'lair' to explain; there are layer"):
        explained(graph, "lair", board, find_compiler("auto"))


@pytest.mark.parametrize(
    ("names", "times"),
    [("abab", 2), ("abcabcabcd", 3), ("abcd", 1), ("abxxxxyz", 1), ("", 1)],
)
def test_repeats(names: str, times: int) -> None:
    assert repeats(list(names)) == times


def test_a_fall_to_plain_c_is_told_with_its_price() -> None:
    graph = lowered("conv1x1", "b1", "virtual_m4")
    board = load_board("virtual_m4")
    (fall,) = fallbacks(graph, board.features)
    assert str(fall) == (
        "layer runs on edgeq_conv_2d_s8_b1, as there is plain C alone for its b1 weights; "
        "the fast ones are s8, s4, t2"
    )
    subject = RoutedModel(graph, layer_table(graph), np.zeros((1, 0)), np.zeros((1, 0)))
    route = RouteCycles((), 6e6, (0, 0), (5.12e6,), 1, 0, "")
    (note,) = _fallback_notes(board, subject, [route])
    assert note == f"{fall}: 5,120,000 cycles (10.0 a multiply), up to 85.3% of a route"
    fast = lowered("conv1x1", "s8", "virtual_m4")
    assert fallbacks(fast, board.features) == ()
    assert fallbacks(graph, frozenset()) == ()
