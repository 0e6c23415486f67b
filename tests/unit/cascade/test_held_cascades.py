"""Hysteresis: behind an unsure row the next ones are escalated too, in integers and in C."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.board import load_board
from edgeq.compiled import compile_graph
from edgeq.emit.firmware_layers import layer_table
from edgeq.errors import UnsupportedOp
from edgeq.estimating import Estimated, Shares, estimate_boards
from edgeq.estimating.in_memory import InMemory
from edgeq.ir import Graph, Node
from edgeq.ops.delay import Delay
from edgeq.ops.graph_file import read_graph, write_graph
from edgeq.ops.hold import MOST_HOLD, held
from edgeq.ops.routed import with_hold, without_hold
from edgeq.passes.freeze_cascade import with_thresholds
from edgeq.passes.freeze_router import chosen_experts
from edgeq.passes.select_kernels import select_kernels
from edgeq.passes.verify import verify
from edgeq.prove.firmware import answer_of, check_on_twin, check_with, compare
from edgeq.prove.host import host_runner
from edgeq.prove.trials import Answer, Trial, answers_of, trials
from edgeq.reference import memories, run, run_all_stages
from edgeq.toolchain import find_compiler
from tests.factory import cascade_graph, input_rows, mixture_graph
from tests.unit.cascade.test_cascade_firmware import DIGEST, built

DSP = frozenset({"dsp"})
THREE = cascade_graph(np.random.default_rng(4), ("t2", "s4", "s8"), trunk="fc")
ROWS = input_rows(np.random.default_rng(1), THREE, 60)
SIGNALS = run_all_stages(THREE, ROWS).signals
MIXED = mixture_graph(
    np.random.default_rng(5), formats=("t2", "s4", "s8"), rule="escalation", passes=5
)


@given(
    unsure=st.lists(st.booleans(), max_size=30),
    left=st.integers(0, 9),
    hold=st.integers(0, 9),
    cut=st.integers(0, 30),
)
def test_the_rows_behind_an_unsure_one_are_counted(
    unsure: list[bool], left: int, hold: int, cut: int
) -> None:
    """Against counting down, and in two parts."""
    left = min(left, hold)
    wanted, count = [], left
    for row in unsure:
        wanted.append(row or count > 0)
        count = hold if row else max(0, count - 1)
    found, behind = held(np.array(unsure, bool), left, hold)
    assert (found.tolist(), behind) == (wanted, count)
    first, between = held(np.array(unsure[:cut], bool), left, hold)
    second, end = held(np.array(unsure[cut:], bool), between, hold)
    assert ([*first, *second], end) == (wanted, count)


def by_hand(limits: tuple[int, ...], hold: int) -> list[int]:
    """Row by row: a stage goes on where its signal says so, or rows are left of one that did."""
    left, routes = [0] * len(limits), []
    for signals in SIGNALS.tolist():
        stage, told = 0, set[int]()
        while stage < len(limits):
            unsure = signals[stage] < limits[stage]
            told |= {stage} if unsure else set()
            if not unsure and not left[stage]:
                break
            stage += 1
        left = [hold if i in told else max(0, n - 1) for i, n in enumerate(left)]
        routes.append(stage)
    return routes


@given(limits=st.tuples(*[st.integers(0, 40)] * 2), hold=st.integers(0, 12), cut=st.integers(0, 60))
@settings(max_examples=25)
def test_a_cascade_holds_each_stage(limits: tuple[int, ...], hold: int, cut: int) -> None:
    """Whole and in two parts, whose state is handed on."""
    graph = with_hold(with_thresholds(THREE, limits), hold)
    whole = run(graph, ROWS)
    assert whole.route.tolist() == by_hand(limits, hold)
    first = run(graph, ROWS[:cut])
    second = run(graph, ROWS[cut:], first.state)
    np.testing.assert_array_equal(np.concatenate([first.output, second.output]), whole.output)
    assert {k: v.tolist() for k, v in second.state.items()} == {
        k: v.tolist() for k, v in whole.state.items()
    }


def test_it_toggles_less_and_costs_more() -> None:
    routes = [run(with_hold(MIXED, hold), ROWS_OF_MIXED).route for hold in (0, 2, 5)]
    precise = MIXED.nodes[-1].attrs.most_precise
    switches = [int((r[1:] != r[:-1]).sum()) for r in routes]
    shares = [float((r == precise).mean()) for r in routes]
    assert switches[0] > switches[1] >= switches[2]
    assert shares[0] < shares[1] <= shares[2]


ROWS_OF_MIXED = input_rows(np.random.default_rng(1), MIXED, 60)


def test_without_a_hold_nothing_is_kept(tmp_path: Path) -> None:
    """And a file of before, which knew no hold, is the same."""
    for graph in (THREE, MIXED):
        assert memories(graph) == {}
        assert list(memories(with_hold(graph, 3))) == [graph.nodes[-1].name]
        assert not without_hold(with_hold(graph, 3)).nodes[-1].attrs.hold
        for each in (graph, with_hold(graph, 3)):
            write_graph(each, tmp_path / "g.npz")
            assert read_graph(tmp_path / "g.npz").nodes[-1].attrs.hold == each.nodes[-1].attrs.hold


@pytest.mark.parametrize("hold", [-1, MOST_HOLD + 1])
def test_a_hold_that_no_count_holds_is_refused(hold: int) -> None:
    with pytest.raises(UnsupportedOp, match=r"give 0 to 10,000"):
        verify(with_hold(THREE, hold), "lowered")


def test_a_state_in_an_expert_is_refused() -> None:
    node = THREE.nodes[-1]
    first = node.attrs.experts[0]
    inner = first.graph.nodes[0]
    (given,) = first.graph.inputs
    kept = Node("kept", "Delay", (given,), ("kept.out",), Delay())
    nodes = (kept, replace(inner, inputs=("kept.out",)), *first.graph.nodes[1:])
    tensors = {**first.graph.tensors, "kept.out": first.graph.tensors[given]}
    spoilt = replace(first, graph=replace(first.graph, nodes=nodes, tensors=tensors))
    attrs = replace(node.attrs, experts=(spoilt, *node.attrs.experts[1:]))
    graph = THREE.with_nodes(replace(n, attrs=attrs) if n is node else n for n in THREE.nodes)
    with pytest.raises(UnsupportedOp, match=r"keeps a state .*would be stale"):
        verify(graph, "float")


def test_other_rules_have_no_hold() -> None:
    plain = mixture_graph(np.random.default_rng(5), formats=("t2", "s8"), rule="precision_prior")
    with pytest.raises(ValueError, match="'precision_prior', which never escalates"):
        with_hold(plain, 3)


HELD = {
    "cascade": with_hold(THREE, 3),
    "doubt": with_hold(
        cascade_graph(np.random.default_rng(4), ("t2", "s4", "s8"), signal="entropy"), 2
    ),
    "mixture": with_hold(MIXED, 3),
}
CASES = ["cascade", pytest.param("doubt", marks=pytest.mark.full), "mixture"]


@pytest.mark.parametrize("name", CASES)
def test_the_host_build_is_the_reference(name: str, tmp_path: Path) -> None:
    graph = HELD[name]
    runner = host_runner(graph, compile_graph(graph, "m", DIGEST).project, tmp_path)
    rows = input_rows(np.random.default_rng(2), graph, 60)
    check = check_with(graph, rows, runner, "host")
    assert check.passed, check.said
    *sent, last = trials(graph, rows, 16)
    assert {t.forced is None for each in sent for t in each} == {True, False}
    assert {t.forced for t in last} == {None}
    forgetful = [
        replace(t, wanted=w) for t, w in zip(last, answers_alone(graph, last), strict=True)
    ]
    assert not compare(graph, forgetful, list(runner(last)), "host").passed


def answers_alone(graph: Graph, asked: Sequence[Trial]) -> Iterator[Answer]:
    """What a firmware without the hold would say."""
    return answers_of(without_hold(graph), np.stack([t.row for t in asked]))


@pytest.mark.parametrize("name", CASES)
def test_the_twin_is_the_reference_and_its_time_is_proven(name: str, tmp_path: Path) -> None:
    """Every route; a reset forgets; the hold adds no branch that the input decides."""
    graph = select_kernels(HELD[name], DSP)
    rows = input_rows(np.random.default_rng(2), graph, 60)
    elf, board = built(graph, "virtual_m4", tmp_path), load_board("virtual_m4")
    check = check_on_twin(graph, rows, board, elf)
    assert check.passed, check.said
    twin = InMemory(board, elf, graph, layer_table(graph))
    for _ in range(2):
        assert [answer_of(graph, twin.infer(r)) for r in rows[:20]] == list(
            answers_of(graph, rows[:20])
        )
        twin.reset()
    shares = Shares.of_rows("rows", chosen_experts(graph, rows))
    subject = Estimated("m", DIGEST, graph, rows, "rows", chosen_experts(graph, rows), shares)
    (entry,) = estimate_boards(subject, [board], find_compiler("auto"), prove=True)["boards"]
    assert entry["constant_time"]["core_cycles"] == "proven", entry["constant_time"]["said"]


def test_held_graphs_are_three() -> None:
    """A row of the table that holds nothing would show nothing."""
    for graph in HELD.values():
        rows = input_rows(np.random.default_rng(2), graph, 60)
        assert (run(graph, rows).route != run(without_hold(graph), rows).route).any()
