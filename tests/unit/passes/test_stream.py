"""A step answers as the window does: random nets, hops and lengths, on the reference."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Quant, Stream
from edgeq.ops import OPS
from edgeq.ops.op import Array
from edgeq.passes.select_kernels import select_kernels
from edgeq.passes.stream import padded, stream, time_axis, timing, unpadded
from edgeq.passes.verify import verify
from edgeq.prove.stream import check_stream
from edgeq.reference import memories, random_rows, run
from tests.factory import GraphBuilder
from tests.port_graphs import two_inputs, with_delay
from tests.stream_graphs import FRAMES, window_graph

SEEDS, AXES = st.integers(0, 10**6), st.sampled_from((0, 1))


def windows_of(step: Graph, window: Graph, rows: Array, axis: int) -> Array:
    """What the window answers at every hop that has one."""
    assert step.stream is not None
    frames, size = np.concatenate(list(rows), axis), window.tensors[window.inputs[0]].shape[axis]
    ends = range((step.stream.first + 1) * step.stream.hop, frames.shape[axis] + 1, step.stream.hop)
    cut = [np.take(frames, np.arange(end - size, end), axis) for end in ends]
    return run(window, np.stack(cut)).output


def check(graph: Graph, window: Graph, axis: int, times: int, more: int, seed: int) -> Graph:
    """The step at a hop of `times` the least, for `more` hops behind the first answer."""
    time = timing(graph)
    hop = times * time.step
    assume(hop <= 3 * FRAMES)
    step = verify(select_kernels(stream(graph, hop, True), frozenset({"dsp"})), "lowered")
    assert step.stream is not None
    rows = random_rows(step, step.stream.first + 1 + more, seed)
    answers = run(step, rows).output[step.stream.first :]
    np.testing.assert_array_equal(answers, windows_of(step, window, rows, axis))
    return step


@given(SEEDS, AXES, st.integers(1, 4), st.integers(0, 9))
def test_without_padding_a_step_is_the_window(seed: int, axis: int, times: int, more: int) -> None:
    graph = window_graph(seed, axis)
    step = check(graph, graph, axis, times, more, seed)
    assert step.stream is not None
    assert step.stream.window == FRAMES
    assert step.stream.lookahead == 0


@given(SEEDS, AXES, st.integers(1, 3), st.booleans())
def test_padding_becomes_frames_of_the_stream(
    seed: int, axis: int, times: int, behind: bool
) -> None:
    graph = window_graph(seed, axis, padded=True, behind=behind)
    step = check(graph, unpadded(graph), axis, times, 5, seed)
    assert step.stream is not None
    front, back = padded(graph, timing(graph))
    assert step.stream.window >= FRAMES
    assert behind or not back
    assert bool(step.stream.lookahead) <= bool(back)
    assert front or back or step.stream.window == FRAMES


def test_a_step_reads_less_than_the_window() -> None:
    """What it keeps and computes is a small part: no layer runs over the whole window."""
    build = GraphBuilder(
        np.random.default_rng(0),
        "window",
        np.random.default_rng(1).integers(-128, 128, (8, 20, 3, 4), dtype=np.int8),
        Quant((0.02,), 4),
    )
    for _ in range(3):
        build.conv(6, (3, 3), padding=(0, 1, 0, 1))
    build.average_pool((14, 3), (1, 1))
    graph = build.graph()
    step = stream(graph, 1)
    macs = [
        sum(_macs(each, node.name) for node in graph.nodes if node.op == "Conv2D")
        for each in (step, graph)
    ]
    assert 14 * macs[0] < macs[1]
    kept = {name: kind.shape for name, kind in memories(step).items()}
    assert sorted(shape[0] for shape in kept.values()) == [2, 2, 2, 13]


def _macs(graph: Graph, name: str) -> int:
    node = next(n for n in graph.nodes if n.name == name)
    made = graph.tensors[node.outputs[0]]
    return made.size * graph.param(node, "weight")[0].size


def two_rates() -> Graph:
    rng = np.random.default_rng(0)
    samples = rng.integers(-128, 128, (8, 9, 1, 4), dtype=np.int8)
    build = GraphBuilder(rng, "rates", samples, Quant((0.02,), 4))
    given_ = build.last
    slow = build.max_pool((5, 1), (2, 1))
    build.last = given_
    fast = build.max_pool((7, 1), (1, 1))
    build.add(slow, fast)
    return build.graph()


def of_shape(shape: tuple[int, ...]) -> Graph:
    rng = np.random.default_rng(0)
    samples = rng.integers(-128, 128, (8, *shape), dtype=np.int8)
    build = GraphBuilder(rng, "flat", samples, Quant((0.02,), 4))
    build.relu()
    return build.graph()


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (two_inputs(), "a stream has one input, 'pair' has 2"),
        (of_shape((40,)), "has no axis of time"),
        (of_shape((1, 1, 40)), "has no axis of time"),
        (two_rates(), r"'add_2' \(Add\) joins one cell every 1 frames with one every 2"),
    ],
    ids=["inputs", "flat", "one frame", "rates"],
)
def test_what_no_stream_has_is_refused(graph: Graph, said: str) -> None:
    with pytest.raises(UnsupportedOp, match=said):
        stream(graph, 2)


def test_a_state_of_its_own_is_refused() -> None:
    graph = with_delay()
    kinds = {n: replace(k, shape=(2, *k.shape)) for n, k in graph.tensors.items()}
    with pytest.raises(UnsupportedOp, match="keeps a state of its own"):
        stream(replace(graph.with_tensors(kinds), nodes=graph.nodes[1:2]), 1)


def test_a_hop_between_strides_is_refused() -> None:
    build = GraphBuilder(
        np.random.default_rng(0),
        "strides",
        np.random.default_rng(1).integers(-128, 128, (8, 12, 1, 4), dtype=np.int8),
        Quant((0.02,), 4),
    )
    build.conv(3, (2, 1), stride=(2, 1))
    build.max_pool((2, 1), (2, 1))
    for hop in (1, 2, 3, 6, 0, -4):
        with pytest.raises(UnsupportedOp, match="give a multiple of 4"):
            stream(build.graph(), hop)
    assert stream(build.graph(), 8).stream == Stream(8, 12)


def test_a_look_into_the_future_is_named() -> None:
    build = GraphBuilder(
        np.random.default_rng(0),
        "future",
        np.random.default_rng(1).integers(-128, 128, (8, 12, 1, 4), dtype=np.int8),
        Quant((0.02,), 4),
    )
    build.conv(3, (3, 1), padding=(2, 0, 0, 0))
    build.conv(3, (3, 1), padding=(1, 0, 1, 0))
    build.depthwise((5, 1), padding=(2, 0, 2, 0))
    graph = build.graph()
    with pytest.raises(
        UnsupportedOp, match="conv2d_1, depthwiseconv2d_2 look into the future"
    ) as e:
        stream(graph, 1)
    assert "the 3 frames" in str(e.value)
    assert stream(graph, 1, lookahead=True).stream == Stream(1, 12 + 5 + 3, 3)
    assert padded(graph, timing(graph)) == (
        ("conv2d_0", "conv2d_1", "depthwiseconv2d_2"),
        ("conv2d_1", "depthwiseconv2d_2"),
    )


def test_time_is_the_first_axis_of_several_cells() -> None:
    assert [time_axis(shape) for shape in ((49, 10, 1), (1, 30, 40), (30, 40))] == [0, 1, 0]


def test_the_proof_sees_a_wrong_step() -> None:
    """Planted: a history that begins a cell too late."""
    build = GraphBuilder(
        np.random.default_rng(0),
        "planted",
        np.random.default_rng(1).integers(-128, 128, (8, 12, 1, 4), dtype=np.int8),
        Quant((0.02,), 4),
    )
    build.conv(3, (3, 1))
    graph = build.graph()
    step, axis = stream(graph, timing(graph).step), 0
    assert check_stream(step, unpadded(graph), axis).passed
    memory = OPS["History"].memory
    assert memory is not None
    nodes = list(step.nodes)
    at = next(i for i, n in enumerate(nodes) if n.op == "History")
    nodes[at] = replace(nodes[at], attrs=replace(nodes[at].attrs, late=nodes[at].attrs.late + 1))
    found = check_stream(step.with_nodes(nodes), unpadded(graph), axis)
    assert not found.passed
    assert found.mismatches > 0
    assert "differs" in found.said
