"""A window's graph made one step of a stream, which answers as it does (arXiv 2005.06720: floats).

Cells of a tensor along time are counted as in the window, cell 0 being its first; from one step to
the next the window moves on by the cells that a hop brings. A step computes each tensor's newest
cells; older ones that a layer reads come from a History. What may read every cell gets the whole
window, and what follows runs as it did. Padding along time becomes cells of the stream. With
`carry` a recurrent layer goes on from the state that it left (ops/carried.py): an answer is that of
all frames since a reset, which is the window's where they are one window.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node, Stream, TensorType
from edgeq.ops import OPS
from edgeq.ops.carried import STEPS, step_of, step_reach
from edgeq.ops.copies import Slice
from edgeq.ops.history import History
from edgeq.ops.kept import memory_of
from edgeq.ops.op import Reach, Site, with_entry
from edgeq.ops.reshape import Reshape
from edgeq.ops.routed import ROUTED
from edgeq.passes.lower import lower_node

ZERO_PADDED = ("Conv2D", "DepthwiseConv2D", "SvdfTime")
FRONT = "with --carry layers pad in front alone, with zeros, from the first frame on"


@dataclass(frozen=True)
class Span:
    """Cells `first` to `last` inclusive, numbered as in the window."""

    first: int
    last: int

    @property
    def cells(self) -> int:
        return self.last - self.first + 1

    def around(self, other: "Span | None") -> "Span":
        """The least span that holds both."""
        if other is None:
            return self
        return Span(min(self.first, other.first), max(self.last, other.last))


@dataclass(frozen=True)
class Timing:
    """`axes`: of time, the input's first. `every`: frames from a cell to the next, of each tensor
    with a time axis; `reaches` of the nodes that keep one; `needs`: the cells that an answer is
    made of.
    """

    axes: Mapping[str, int]
    every: Mapping[str, int]
    reaches: Mapping[str, Reach]
    needs: Mapping[str, Span]
    frames: int

    @property
    def axis(self) -> int:
        """Of the input."""
        return next(iter(self.axes.values()))

    @property
    def newest(self) -> int:
        """The last frame that an answer waits for; the window ends at `frames` - 1."""
        return max(self._input.last, self.frames - 1)

    @property
    def oldest(self) -> int:
        return min(self._input.first, 0)

    @property
    def lookahead(self) -> int:
        """Frames behind the window that an answer waits for."""
        return self.newest - (self.frames - 1)

    @property
    def step(self) -> int:
        """Every hop is a multiple of so many frames."""
        return math.lcm(*self.every.values())

    @property
    def _input(self) -> Span:
        return next(iter(self.needs.values()))


def time_axis(shape: tuple[int, ...]) -> int:
    """The first axis of several cells: (frames, bins, channels) or (1, frames, channels)."""
    axis = next((i for i, n in enumerate(shape) if n > 1), len(shape) - 1)
    if axis >= len(shape) - 1:
        raise UnsupportedOp(
            f"an input of shape {shape} has no axis of time; a stream takes (frames, bins, "
            "channels) or, of 1-D convolutions, (1, frames, channels)"
        )
    return axis


def timing(graph: Graph, carry: bool = False) -> Timing:
    """What each tensor of a lowered window has to do with time. `carry`: recurrent layers read the
    newest cells alone.

    Raises UnsupportedOp for several inputs, an input without time, a state, and layers that join
    tensors of other rates.
    """
    if len(graph.inputs) != 1:
        raise UnsupportedOp(f"a stream has one input, {graph.name!r} has {len(graph.inputs)}")
    (source,) = graph.inputs
    axes = {source: time_axis(graph.tensors[source].shape)}
    every, reaches = {source: 1}, dict[str, Reach]()
    for node in graph.nodes:
        _refuse_kept(node)
        rates = {every[name] for name in node.inputs if name in every}
        found = _reach(graph, node, axes, carry)
        if found is None:
            continue
        if len(rates) > 1:
            raise UnsupportedOp(
                f"layer {node.name!r} ({node.op}) joins one cell every {min(rates)} frames with "
                f"one every {max(rates)}; a stream joins equal rates"
            )
        reaches[node.name], axes[node.outputs[0]] = found
        every[node.outputs[0]] = rates.pop() * found[0].stride
    frames = graph.tensors[source].shape[axes[source]]
    needs = _needs(graph, axes, reaches)
    return Timing(axes, every, reaches, {source: needs.pop(source), **needs}, frames)


def _refuse_kept(node: Node) -> None:
    if node.op not in ROUTED and memory_of(node) is not None:
        what = f"layer {node.name!r} ({node.op}) keeps a state of its own"
        raise UnsupportedOp(f"{what}; --stream takes no such")


def _reach(
    graph: Graph, node: Node, axes: Mapping[str, int], carry: bool
) -> tuple[Reach, int] | None:
    """And the output's axis. None also where time ends in one cell: that is the window's whole."""
    axis = {axes.get(name) for name in node.inputs}
    if len(axis) > 1 or (own := axis.pop()) is None:
        return None
    site = Site(graph, node)
    if carry and node.op in STEPS:
        return step_reach(node.attrs), own
    if carry and node.op == "Reshape" and (moved := _moved(site, own)) is not None:
        shape = node.attrs.shape
        return Reach(lambda cells: Reshape(with_entry(shape, moved, cells))), moved
    reach = OPS[node.op].reach(node.attrs, site.io, site.params, own)
    return None if reach is None or site.output_shape[own] == 1 else (reach, own)


def _moved(site: Site, axis: int) -> int | None:
    """Where the axis of time is, when nothing but axes of one cell in front come or go."""
    given, made = site.input_shape, site.output_shape
    place = axis + len(made) - len(given)
    alike = place >= 0 and given[axis:] == made[place:] and len(made) > place + 1
    return place if alike and set(given[:axis]) | set(made[:place]) <= {1} else None


def _needs(graph: Graph, axes: Mapping[str, int], reaches: Mapping[str, Reach]) -> dict[str, Span]:
    def whole(name: str) -> Span:
        return Span(0, graph.tensors[name].shape[axes[name]] - 1)

    needs = {name: whole(name) for name in graph.outputs if name in axes}
    for node in reversed(graph.nodes):
        reach = reaches.get(node.name)
        wanted = needs.get(node.outputs[0])
        if reach is not None and wanted is None:
            continue  # nothing reads it
        for name in (n for n in node.inputs if n in axes):
            read = whole(name) if reach is None or wanted is None else _read(reach, wanted)
            if reach is None and (cell := _one_cell(node, axes[name])) is not None:
                read = Span(cell, cell)
            needs[name] = read.around(needs.get(name))
    return needs


def _one_cell(node: Node, axis: int) -> int | None:
    """The only one along time that a node reads, where it is a cut to one."""
    if node.op != "Slice" or node.attrs.size[axis] != 1:
        return None
    start: int = node.attrs.start[axis]
    return start


def _read(reach: Reach, made: Span) -> Span:
    """The cells of an input that those of an output are made of."""
    first = made.first * reach.stride - reach.before
    return Span(first, made.last * reach.stride - reach.before + reach.kernel - 1)


def padded(graph: Graph, time: Timing, every: bool = False) -> tuple[tuple[str, ...], ...]:
    """The layers that pad along time, in front and behind: where an answer reads, or anywhere."""
    front, behind = [], []
    for node in (n for n in graph.nodes if n.name in time.reaches):
        ends = node.inputs[0], node.outputs[0]
        given, made = (graph.tensors[n].shape[time.axes[n]] for n in ends)
        need = Span(0, made - 1) if every else time.needs.get(node.outputs[0], Span(0, -1))
        cells = Span(max(need.first, 0), min(need.last, made - 1))
        reach, read = time.reaches[node.name], _read(time.reaches[node.name], cells)
        front += [node.name] if cells.cells > 0 and read.first < 0 < reach.before else []
        behind += [node.name] if cells.cells > 0 and read.last >= given else []
    return tuple(front), tuple(behind)


def stream(
    graph: Graph,
    hop: int,
    lookahead: bool = False,
    period_s: float | None = None,
    carry: bool = False,
) -> Graph:
    """One step of `hop` frames of a lowered graph; kernels are to be chosen anew.

    Its answers equal the window's, bit for bit, once `graph.stream.window` frames have come: those
    of the window that ends with the hop, and of `unpadded` where layers pad along time. With
    `carry` the first of them is the window's, the others those of all frames since. Raises
    UnsupportedOp, naming the layers, for a hop that strides do not divide, what `timing` refuses,
    layers that look into the future without `lookahead`, and with `carry` what `waits` refuses.
    """
    time = timing(graph, carry)
    if hop < 1 or hop % time.step:
        raise UnsupportedOp(
            f"a hop of {hop} frames: the strides of {graph.name!r} take one answer in {time.step} "
            f"frames; give a multiple of {time.step}"
        )
    _, behind = padded(graph, time)
    if behind and not lookahead:
        raise UnsupportedOp(
            f"{', '.join(behind)} look{'s' if len(behind) == 1 else ''} into the future: padding "
            f"behind the last frame. --lookahead waits for the {time.lookahead} frames that come "
            "there instead; or train with padding in front alone"
        )
    spans = {
        name: Span(time.newest - hop + 1, time.newest)
        if name in graph.inputs
        else Span(need.last - hop // time.every[name] + 1, need.last)
        for name, need in time.needs.items()
    }
    window = time.frames if carry else time.newest - time.oldest + 1
    made = _rebuilt(graph, time, spans, waits(graph, time, hop) if carry else {})
    return replace(made, stream=Stream(hop, window, time.lookahead, period_s, time.axis))


def waits(graph: Graph, time: Timing, hop: int) -> dict[str, int]:
    """Rows after a reset whose cells are of before it, by recurrent layer.

    Raises UnsupportedOp where there is no such layer, where a hop ends inside the window's first
    cells, and for padding that is neither zeros nor where a reset is.
    """
    (front, behind), found = padded(graph, time, True), dict[str, int]()
    for node in (n for n in graph.nodes if n.name in time.reaches):
        ends = node.outputs if node.op in STEPS else node.inputs
        cells, a_row = _before(graph, time, hop, ends[0])
        if node.name in behind:
            raise UnsupportedOp(f"{node.name} pads behind the last frame; {FRONT}")
        if node.name in front and (cells or node.op not in ZERO_PADDED):
            raise UnsupportedOp(
                f"{node.name} ({node.op}) pads in front of a cell that is not the first since a "
                f"reset, or not with zeros; {FRONT}"
            )
        if node.op in STEPS and (cells < 0 or cells % a_row):
            raise UnsupportedOp(
                f"a hop of {hop} frames does not end where the first cell of {node.name!r} begins "
                f"({cells} cells of {a_row} a hop); give --stream hop={time.step}"
            )
        if node.op in STEPS:
            found[node.name] = cells // a_row
    if not found:
        raise UnsupportedOp(
            f"{graph.name!r} has no recurrent layer on frames: --carry is for {', '.join(STEPS)}"
        )
    return found


def _before(graph: Graph, time: Timing, hop: int, name: str) -> tuple[int, int]:
    """A tensor's cells since a reset that are older than its window's, and those of a row."""
    rows, a_row = -(-time.frames // hop), hop // time.every[name]
    return rows * a_row - graph.tensors[name].shape[time.axes[name]], a_row


def unpadded(graph: Graph) -> Graph:
    """The window without padding along time, which takes the frames that stand there instead."""
    time = timing(graph)
    spans = dict(time.needs)
    spans[graph.inputs[0]] = Span(time.oldest, time.newest)
    return _rebuilt(graph, time, spans)


def _rebuilt(
    graph: Graph, time: Timing, spans: Mapping[str, Span], wait: Mapping[str, int] | None = None
) -> Graph:
    """The graph where each tensor with time has the cells of its span alone. `wait`: of recurrent
    layers that go on from row to row, the rows after a reset that they leave out.
    """
    build = _Rebuilding(graph, time, spans, wait or {})
    nodes = [node for node in graph.nodes if not _unread(node, time)]
    for node in nodes:
        build.add(node)
    outputs = tuple(build.whole(name) for name in graph.outputs)
    made = replace(graph, nodes=tuple(build.nodes), tensors=build.tensors, outputs=outputs)
    for node in build.nodes:
        reach = time.reaches.get(node.name)
        if reach is not None and reach.anew:
            made = lower_node(made, node)
    return made.pruned()


def _unread(node: Node, time: Timing) -> bool:
    return node.name in time.reaches and node.outputs[0] not in time.needs


class _Rebuilding:
    def __init__(
        self, graph: Graph, time: Timing, spans: Mapping[str, Span], wait: Mapping[str, int]
    ) -> None:
        self.graph, self.time, self.spans, self.wait = graph, time, spans, wait
        self.nodes: list[Node] = []
        self.tensors = dict(graph.tensors)
        self._found: dict[tuple[str, Span], str] = {}
        for name, span in spans.items():
            self.tensors[name] = self._of_cells(name, span.cells)

    def _of_cells(self, name: str, cells: int) -> TensorType:
        """The tensor's type with so many cells."""
        kind = self.graph.tensors[name]
        return replace(kind, shape=with_entry(kind.shape, self.time.axes[name], cells))

    def add(self, node: Node) -> None:
        """The node on the cells that there are."""
        reach = self.time.reaches.get(node.name)
        if reach is None:
            self.nodes.append(replace(self._of_window(node), kernel=None))
            return
        made = self.spans[node.outputs[0]]
        inputs = tuple(self._cells(name, _read(reach, made)) for name in node.inputs)
        attrs = reach.alone(made.cells)
        if node.name in self.wait:
            attrs = step_of(attrs, self.wait[node.name])
            node = replace(node, op=type(attrs).__name__)
        self.nodes.append(replace(node, inputs=inputs, attrs=attrs, kernel=None))

    def _of_window(self, node: Node) -> Node:
        """One that reads all cells, or cuts one out."""
        name = node.inputs[0]
        cell = _one_cell(node, self.time.axes[name]) if name in self.spans else None
        if cell is None:
            return replace(node, inputs=tuple(self.whole(name) for name in node.inputs))
        start = with_entry(node.attrs.start, self.time.axes[name], 0)
        read = self._cells(name, Span(cell, cell))
        return replace(node, inputs=(read,), attrs=replace(node.attrs, start=start))

    def whole(self, name: str) -> str:
        """A tensor, with all cells of its window where it has time."""
        if name not in self.spans:
            return name
        cells = self.graph.tensors[name].shape[self.time.axes[name]]
        return self._cells(name, Span(0, cells - 1))

    def _cells(self, name: str, wanted: Span) -> str:
        there = self.spans[name]
        if wanted == there:
            return name
        found = self._found.get((name, wanted))
        if found is None:
            inside = there.first <= wanted.first
            found = self._sliced(name, wanted) if inside else self._kept(name, wanted)
            self._found[name, wanted] = found
        return found

    def _sliced(self, name: str, wanted: Span) -> str:
        shape, axis = self.tensors[name].shape, self.time.axes[name]
        start = with_entry((0,) * len(shape), axis, wanted.first - self.spans[name].first)
        attrs = Slice(start, with_entry(shape, axis, wanted.cells), (1,) * len(shape))
        return self._append("Slice", name, attrs, wanted.cells)

    def _kept(self, name: str, wanted: Span) -> str:
        late = self.spans[name].last - wanted.last
        return self._append(
            "History", name, History(self.time.axes[name], wanted.cells, late), wanted.cells
        )

    def _append(self, op: str, name: str, attrs: Slice | History, cells: int) -> str:
        taken = {node.name for node in (*self.graph.nodes, *self.nodes)}
        stem = f"{name.removesuffix('.out')}_{op.lower()}"
        own = _free(stem, taken)
        self.tensors[f"{own}.out"] = self._of_cells(name, cells)
        self.nodes.append(Node(own, op, (name,), (f"{own}.out",), attrs))
        return f"{own}.out"


def _free(stem: str, taken: Iterable[str]) -> str:
    names = set(taken)
    return next(
        n for i in range(len(names) + 1) if (n := f"{stem}_{i}" if i else stem) not in names
    )
