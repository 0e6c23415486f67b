"""Convolutions that write over their input, at once or in bands, as near as their ways allow."""

import ctypes
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.ir import Graph, Node, TensorType
from edgeq.kernels import kernel_named
from edgeq.kernels import ways as ways_module
from edgeq.kernels.bands import Band, alone, sliding
from edgeq.kernels.ways import Way, ways
from edgeq.ops import OPS
from edgeq.ops.op import Site
from edgeq.ops.window import window_fields
from tests.kernels import samples
from tests.kernels.conftest import KERNELS
from tests.kernels.differential.convolutions import Geometry, function_of
from tests.kernels.dsp.core import Core
from tests.kernels.dsp.test_convolutions import NAMES, Case, case, geometries
from tests.kernels.host_kernels import Conv2DParams, Held, Window

WHOLE = (
    Geometry((25, 5), 8, (3, 3), (1, 1), (1, 1, 1, 1)),
    Geometry((1, 28), 8, (1, 5), (1, 1), (0, 0, 0, 0)),
    Geometry((1, 9), 3, (1, 4), (1, 1), (0, 2, 0, 2)),
    Geometry((6, 6), 12, (3, 3), (2, 2), (1, 1, 1, 1)),
)
IN_BANDS = (
    Geometry((5, 25), 64, (1, 1), (1, 1), (0, 0, 0, 0), 64),
    Geometry((9, 9), 8, (1, 1), (1, 1), (0, 0, 0, 0), 16),
    Geometry((12, 9), 16, (1, 1), (1, 1), (0, 0, 0, 0), 5),
    Geometry((12, 8), 8, (3, 3), (1, 1), (1, 1, 1, 1), 8),
    Geometry((13, 12), 8, (3, 3), (2, 2), (1, 1, 1, 1), 8),
    Geometry((11, 6), 3, (5, 4), (1, 2), (2, 1, 2, 1), 7),
)


@pytest.fixture(autouse=True)
def small_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a row or a pixel, too."""
    monkeypatch.setattr(ways_module, "LEAST_BAND_CYCLES", 0)


def graph_of(c: Case) -> Graph:
    """The layer alone, with its kernel."""
    depthwise = c.name.startswith("depthwise")
    op = "DepthwiseConv2D" if depthwise else "Conv2D"
    attrs = OPS[op].attrs(c.g.stride, c.g.padding)
    tensors = {
        "x": TensorType(c.x.shape[1:], "int8", c.q_in),
        "y": TensorType(c.wanted.shape, "int8", c.q_out),
        "w": TensorType(c.weight.shape, "int8"),
    }
    node = Node("c", op, ("x",), ("y",), attrs, {"weight": "w"}, function_of(c.name))
    return Graph("g", ("x",), ("y",), (node,), tensors, {"w": c.weight})


def window_of(graph: Graph) -> tuple[int, ...]:
    node = graph.nodes[0]
    shape = graph.type_of("w").shape
    kernel = shape[1:3] if node.op == "Conv2D" else shape[:2]
    fields = window_fields(Site(graph, node), kernel, node.attrs.padding)
    return tuple(int(value) for _, value in fields)  # type: ignore[call-overload]


def calls(graph: Graph, way: Way, down: bool) -> Iterator[tuple[Graph, int, int]]:
    """Each band as a layer, where its input and its output begin."""
    node = graph.nodes[0]
    if not way.rows:
        yield graph, 0, 0
        return
    slide = sliding(graph, node)
    bands: list[Band] = list(slide.bands(way.rows))
    for band in reversed(bands) if down else bands:
        at = slide.input_bytes * band.begin, slide.output_bytes * band.row
        yield alone(graph, node, band), *at


def layouts(way: Way) -> Iterator[tuple[int, int, bool]]:
    """Offsets of x and y as near to one another as may be, and whether the last band is first."""
    if way.at_once:
        yield 0, 0, False
    if way.up is not None:
        yield max(0, way.up), max(0, -way.up), False
    if way.down is not None:
        yield max(0, -way.down), max(0, way.down), True


def holds(c: Case, way: Way, x: int, y: int) -> tuple[samples.Array, slice]:
    """Memory with the input at x, and where the output is."""
    end = max(x + c.x.size, y + c.wanted.size)
    arena = np.full(end, 0x5A, np.int8)
    arena[x : x + c.x.size] = c.x.reshape(-1)
    return arena, slice(y, y + c.wanted.size)


def on_host(kernels: ctypes.CDLL, c: Case, way: Way, x: int, y: int, down: bool) -> samples.Array:
    arena, made = holds(c, way, x, y)
    held, graph = Held(), graph_of(c)
    pointers = (
        held.pointer(c.words, np.uint32),
        held.pointer(c.bias, np.int32),
        held.pointer(c.r.multiplier, np.int32),
        held.pointer(c.r.shift, np.int8),
    )
    ends = (c.wanted.shape[-1], c.q_in.zero_point, c.q_out.zero_point, *c.bounds)
    function = getattr(kernels, function_of(c.name))
    function.restype = None
    for part, from_x, from_y in calls(graph, way, down):
        params = Conv2DParams(*pointers, Window(*window_of(part)), *ends)
        scratch = np.full(kernel_named(function_of(c.name)).scratch(part, part.nodes[0]), 90, "i1")
        assert scratch.size <= way.scratch
        base = int(arena.ctypes.data)
        places = (base + x + from_x, base + y + from_y, int(scratch.ctypes.data))
        function(ctypes.byref(params), *(ctypes.c_void_p(at) for at in places))
    return arena[made].reshape(c.wanted.shape)


def on_core(core: Core, c: Case, way: Way, x: int, y: int, down: bool) -> samples.Array:
    arena, made = holds(c, way, x, y)
    at, scratch = core.put(arena.tobytes()), core.put(bytes(way.scratch))
    pointers = (
        core.values(c.words, np.uint32),
        core.values(c.bias, np.int32),
        core.values(c.r.multiplier, np.int32),
        core.values(c.r.shift, np.int8),
    )
    ends = (c.wanted.shape[-1], c.q_in.zero_point, c.q_out.zero_point, *c.bounds)
    for part, from_x, from_y in calls(graph_of(c), way, down):
        params = core.words(*pointers, *window_of(part), *ends)
        places = (params, at + x + from_x, at + y + from_y, scratch)
        core.machine.call(function_of(c.name), places)
    said = np.frombuffer(core.machine.read(at, arena.size), np.int8)[made]
    core.rewind()
    return said.reshape(c.wanted.shape)


def ways_of(c: Case) -> list[Way]:
    graph = graph_of(c)
    return list(ways(graph, graph.nodes[0]))


@pytest.mark.parametrize("name", NAMES)
@given(
    g=geometries(),
    seed=st.integers(0, 2**32 - 1),
    act=st.sampled_from(("none", "relu")),
)
@KERNELS
def test_output_over_input_equals_reference(
    kernels: ctypes.CDLL, name: str, g: Geometry, seed: int, act: str
) -> None:
    c = case(name, g, seed, "random", act)
    found = [(way, layout) for way in ways_of(c) for layout in layouts(way)]
    if found:
        way, layout = found[seed % len(found)]
        np.testing.assert_array_equal(on_host(kernels, c, way, *layout), c.wanted)


@pytest.mark.parametrize("name", NAMES)
def test_shapes(kernels: ctypes.CDLL, name: str) -> None:
    for seed, g in enumerate((*WHOLE, *IN_BANDS)):
        c = case(name, g, seed, "random", "relu")
        for way in ways_of(c):
            for layout in layouts(way):
                np.testing.assert_array_equal(on_host(kernels, c, way, *layout), c.wanted)


@pytest.mark.parametrize("name", [n for n in NAMES if not n.endswith("_v6m")])
def test_shapes_on_the_core(core: Core, name: str) -> None:
    """The assembly reads and writes in the order of its twin."""
    for seed, g in enumerate((*WHOLE, *IN_BANDS)):
        c = case(name, g, seed, "random", "none")
        for way in ways_of(c)[-3:]:
            for layout in layouts(way):
                np.testing.assert_array_equal(on_core(core, c, way, *layout), c.wanted)


def test_whole_maps_are_in_place() -> None:
    """No way is empty by accident: these depthwise layers write on their input in one call."""
    for g in WHOLE:
        assert ways_of(case("depthwise_conv_2d_s8_s8", g, 0, "random", "none"))[0].at_once == (0,)
    large = Geometry((12, 12), 8, (3, 3), (1, 1), (1, 1, 1, 1))
    shared = Geometry((3, 3), 6, (3, 3), (1, 1), (1, 1, 1, 1))  # two blocks have two channels
    for g in (large, shared):
        assert not ways_of(case("depthwise_conv_2d_s8_s8", g, 0, "random", "none"))[0].at_once


@pytest.mark.parametrize("name", ["conv_2d_s8_s8", "depthwise_conv_2d_s8_s8"])
def test_no_distance_would_be_seen(kernels: ctypes.CDLL, name: str) -> None:
    """The negative case: bands may not write where the next one reads."""
    c = case(name, Geometry((12, 8), 8, (3, 3), (1, 1), (1, 1, 1, 1), 8), 3, "random", "none")
    way = ways_of(c)[1]
    assert way.up is not None
    assert way.up > 0
    assert (on_host(kernels, c, way, 0, 0, False) != c.wanted).any()


def test_a_band_is_worth_its_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small layers run in one call, and so do parts of large ones."""
    monkeypatch.setattr(ways_module, "LEAST_BAND_CYCLES", 100_000)
    small = case(
        "conv_2d_s8_s8", Geometry((8, 8), 4, (3, 3), (1, 1), (1, 1, 1, 1), 4), 0, "random", "none"
    )
    large = case(
        "conv_2d_s8_s8",
        Geometry((32, 32), 16, (3, 3), (1, 1), (1, 1, 1, 1), 16),
        0,
        "random",
        "none",
    )
    assert [way.rows for way in ways_of(small)] == [0]
    assert {way.rows for way in ways_of(large)} == {0, 16, 11, 8, 6, 4, 3, 2}
