"""What a model keeps, in C, by hand."""

import numpy as np

from edgeq.emit.arena_map import Place
from edgeq.emit.firmware_state import StateCode, state_code
from edgeq.ir import Graph, Quant
from edgeq.memory import plan_memory
from tests.factory import GraphBuilder
from tests.port_graphs import two_inputs, wide_delay, with_delay


def states(graph: Graph) -> tuple[StateCode, ...]:
    return state_code(graph, plan_memory(graph), "NET")


def test_each_delay_has_its_place_and_the_zero_point_of_its_scale() -> None:
    graph = with_delay()
    quants = [graph.tensors[n.outputs[0]].quant for n in graph.nodes if n.op == "Delay"]
    zeros = [quant.zero_point for quant in quants if quant is not None]
    assert states(graph) == (
        StateCode(
            Place("", "delay_1", "NET_STATE_AT_DELAY_1", 0, "5 bytes"), "int8_t", 5, zeros[0]
        ),
        StateCode(
            Place("", "delay_3", "NET_STATE_AT_DELAY_3", 8, "5 bytes"), "int8_t", 5, zeros[1]
        ),
    )
    assert zeros[0] != zeros[1]


def test_codes_of_int16() -> None:
    place = Place("", "delay", "NET_STATE_AT_DELAY", 0, "10 bytes")
    assert states(wide_delay()) == (StateCode(place, "int16_t", 5, 0),)


def test_one_code_is_a_memory_too() -> None:
    samples = np.random.default_rng(1).integers(-128, 128, (48, 3), dtype=np.int8)
    build = GraphBuilder(np.random.default_rng(1), "one", samples, Quant((0.02,), 4))
    build.fully_connected(1)
    build.delay()
    build.fully_connected(2)
    (state,) = states(build.graph())
    assert (state.ctype, state.count) == ("int8_t", 1)


def test_no_state() -> None:
    assert states(two_inputs()) == ()
