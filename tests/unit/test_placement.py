"""Places in an arena: buffers that may lie on one another do so, and no others."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edgeq.placement import (
    ALIGNMENT_BYTES,
    Buffer,
    Order,
    Overlap,
    aligned,
    end_of,
    fits,
    in_use,
    lower_bound,
    place,
)


def chain(sizes: list[int]) -> list[Buffer]:
    """Each is read by the step that writes the next one."""
    return [Buffer(f"t{i}", size, i, i + 1) for i, size in enumerate(sizes)]


@st.composite
def chains(draw: st.DrawFn) -> tuple[list[Buffer], list[Overlap]]:
    """A chain with scratch, some outputs of which may lie on their inputs."""
    found = chain(draw(st.lists(st.integers(1, 99), min_size=1, max_size=9)))
    near = st.none() | st.integers(-40, 40)
    overlaps = [
        Overlap(a.name, b.name, draw(near), draw(near), draw(st.booleans()))
        for a, b in pairwise(found)
    ]
    steps = st.integers(0, len(found))
    scratch = draw(st.lists(st.tuples(steps, st.integers(1, 60)), max_size=4))
    return [*found, *(Buffer(f"s{i}", n, s, s) for i, (s, n) in enumerate(scratch))], overlaps


@given(chains())
def test_all_that_meet_are_apart_or_may_overlap(made: tuple[list[Buffer], list[Overlap]]) -> None:
    buffers, overlaps = made
    placed = place(buffers, overlaps)
    pairs = {frozenset((o.read, o.written)): o for o in overlaps}
    assert {b.name for b in placed} == {b.name for b in buffers}
    for i, a in enumerate(placed):
        assert a.offset >= 0
        assert a.offset % ALIGNMENT_BYTES == 0
        for b in placed[i + 1 :]:
            assert not a.meets(b) or fits(a, b, pairs.get(frozenset((a.name, b.name))))
    assert lower_bound(buffers, overlaps) <= end_of(placed)
    assert end_of(placed) <= sum(aligned(b.bytes) for b in buffers)
    assert place(buffers, overlaps) == placed


def test_what_is_in_place_takes_no_bytes() -> None:
    buffers = chain([64, 64, 40])
    overlaps = [Overlap("t0", "t1", at_once=True), Overlap("t1", "t2", at_once=True)]
    assert end_of(place(buffers, overlaps)) == lower_bound(buffers, overlaps) == 64
    assert end_of(place(buffers)) == lower_bound(buffers) == 128


def test_bands_go_up_and_down_in_turns() -> None:
    """Each output lies a band beside its input: the next one goes back where that was."""
    buffers = chain([800] * 6)
    overlaps = [Overlap(f"t{i}", f"t{i + 1}", 100, 100) for i in range(5)]
    placed = place(buffers, overlaps)
    assert end_of(placed) == lower_bound(buffers, overlaps) == 800 + aligned(100)
    orders = [
        overlap.order(placed[i].offset, placed[i + 1].offset) for i, overlap in enumerate(overlaps)
    ]
    assert set(orders) == {Order.UP, Order.DOWN}


def test_an_output_twice_as_large_takes_its_own_bytes() -> None:
    buffers = chain([100, 200])
    up = [Overlap("t0", "t1", up=104)]
    assert end_of(place(buffers, up)) == aligned(204)
    down = [Overlap("t0", "t1", down=0)]
    assert end_of(place(buffers, down)) == 200


def test_one_of_two_inputs_may_lie_under_an_output() -> None:
    a, b, y = Buffer("a", 80, 0, 2), Buffer("b", 80, 1, 2), Buffer("y", 80, 2, 3)
    overlaps = [Overlap("a", "y", at_once=True), Overlap("b", "y", at_once=True)]
    assert in_use([a, b, y], overlaps, 2) == 160
    assert end_of(place([a, b, y], overlaps)) == 160


def test_order_of_two_that_are_too_near_is_none() -> None:
    overlap = Overlap("x", "y", up=16, down=24)
    assert overlap.order(16, 0) is Order.UP
    assert overlap.order(0, 24) is Order.DOWN
    assert [overlap.order(read, written) for read, written in ((8, 0), (0, 16), (0, 0))] == [
        None
    ] * 3
