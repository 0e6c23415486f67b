"""A convolution with groups or dilation as dense ones (edgeq_conv_2d_part.c): its parts.

A group reads channels of its own. At dilation d and stride s an output reads every d-th cell, and
so does the one d / gcd(s, d) behind it: those outputs are a convolution without dilation, at
stride s / gcd(s, d), over every d-th cell. Each part's cells are gathered, the layer's own kernel
runs on them, and what it makes is put where it belongs.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from edgeq.ir import Graph, Node
from edgeq.kernels.bands import CONVOLUTIONS
from edgeq.kernels.table import Kernel
from edgeq.placement import aligned

PART_KERNEL = "edgeq_conv_2d_part"


@dataclass(frozen=True)
class Phase:
    """Every so many outputs of an axis, and the cells that they read."""

    outputs: int
    cells: int
    padding: int


@dataclass(frozen=True)
class Sampled:
    """One axis of a dilated window; `stride`: of a phase."""

    size: int
    outputs: int
    step: int  # from output to output, in cells of the map
    dilation: int
    padding: int
    kernel: int

    @property
    def phases(self) -> int:
        """At most one an output."""
        return min(self.apart, self.outputs)

    @property
    def apart(self) -> int:
        """Outputs from one of a phase to the next."""
        return self.dilation // math.gcd(self.step, self.dilation)

    @property
    def stride(self) -> int:
        return self.step // math.gcd(self.step, self.dilation)

    def phase(self, first: int) -> Phase:
        """The phase of that output; no cell of the map may be in it."""
        start = first * self.step - self.padding
        before = -(start // self.dilation) if start < 0 else 0
        inside = self.size - start - before * self.dilation
        cells = max(-(-inside // self.dilation), 0)
        return Phase(-(-(self.outputs - first) // self.apart), cells, before)


@dataclass(frozen=True)
class Parts:
    """Those of a layer."""

    groups: int
    down: Sampled
    across: Sampled

    @property
    def count(self) -> int:
        return self.groups * self.down.phases * self.across.phases

    def phases(self) -> Iterator[tuple[Phase, Phase]]:
        """Down and across, of one group."""
        yield from product(*(map(a.phase, range(a.phases)) for a in (self.down, self.across)))


def parts_of(graph: Graph, node: Node) -> Parts | None:
    """None for a layer that is dense itself, and for an op that is no convolution."""
    if node.op not in CONVOLUTIONS:
        return None
    dilation, groups = node.attrs.dilation, getattr(node.attrs, "groups", 1)
    if (*dilation, groups) == (1, 1, 1):
        return None
    given, made = graph.type_of(node.inputs[0]).shape, graph.type_of(node.outputs[0]).shape
    shape = graph.type_of(node.params["weight"]).shape
    kernel = shape[1:3] if node.op == "Conv2D" else shape[:2]
    down, across = (
        Sampled(
            given[i],
            made[i],
            node.attrs.stride[i],
            dilation[i] if kernel[i] > 1 else 1,
            node.attrs.padding[i],
            kernel[i],
        )
        for i in (0, 1)
    )
    return Parts(groups, down, across)


@dataclass(frozen=True)
class Rooms:
    """What the parts of a layer take of its scratch, one behind the other; in bytes."""

    cells: int
    made: int
    kernel: int

    @property
    def total(self) -> int:
        return self.cells + self.made + self.kernel


def rooms(graph: Graph, node: Node, kernel: Kernel, parts: Parts) -> Rooms:
    """For the largest of them."""
    cells, made, own = 0, 0, 0
    for phases in parts.phases():
        part = _alone(graph, node, parts, phases)
        inner = part.nodes[0]
        cells = max(cells, part.type_of(inner.inputs[0]).size)
        made = max(made, part.type_of(inner.outputs[0]).size)
        own = max(own, kernel.scratch(part, inner))
    return Rooms(aligned(cells), aligned(made), own)


def _alone(graph: Graph, node: Node, parts: Parts, phases: tuple[Phase, Phase]) -> Graph:
    """The graph of one part, a dense layer by itself: for what its shapes decide."""
    given, made = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0])
    weight = graph.type_of(node.params["weight"])
    axes = (parts.down, parts.across)
    inside = all(p.cells for p in phases)
    size = [p.cells if inside else 1 for p in phases]
    after = [
        max(0, (p.outputs - 1) * a.stride + a.kernel - n - p.padding)
        for a, p, n in zip(axes, phases, size, strict=True)
    ]
    attrs = replace(
        node.attrs,
        stride=(axes[0].stride, axes[1].stride),
        padding=(phases[0].padding, phases[1].padding, *after),
        dilation=(1, 1),
    )
    shapes = {
        node.inputs[0]: (*size, given.shape[2] // parts.groups),
        node.outputs[0]: (phases[0].outputs, phases[1].outputs, made.shape[2] // parts.groups),
    }
    if node.op == "Conv2D":
        attrs = replace(attrs, groups=1)
        shapes[node.params["weight"]] = (weight.shape[0] // parts.groups, *weight.shape[1:])
    types = {name: replace(graph.tensors[name], shape=shape) for name, shape in shapes.items()}
    return graph.with_tensors(types).with_nodes([replace(node, attrs=attrs)])


def node_scratch(graph: Graph, node: Node, kernel: Kernel) -> int:
    """Bytes of scratch of a layer that runs in one call, or in parts."""
    parts = parts_of(graph, node)
    if parts is None:
        return kernel.scratch(graph, node)
    return rooms(graph, node, kernel, parts).total
