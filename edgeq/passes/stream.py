"""A window's graph made one step of a stream, which answers as the window does (Google's
kws_streaming, arXiv 2005.06720, has the idea in floats).

Cells of a tensor along time are counted as in the window, cell 0 being its first; from one step to
the next the window moves on by the cells that a hop brings. A step computes each tensor's newest
cells; older ones that a layer reads come from a History. What may read every cell gets the whole
window, and what follows runs as it did. Padding along time becomes cells of the stream.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node, Stream, TensorType
from edgeq.ops import OPS
from edgeq.ops.copies import Slice
from edgeq.ops.history import History
from edgeq.ops.op import Reach, Site, with_entry
from edgeq.passes.lower import lower_node


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
    """`axis`: of time. `every`: frames from a cell to the next, of each tensor with a time axis;
    `reaches` of the nodes that keep one; `needs`: the cells that an answer is made of.
    """

    axis: int
    every: Mapping[str, int]
    reaches: Mapping[str, Reach]
    needs: Mapping[str, Span]
    frames: int

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


def timing(graph: Graph) -> Timing:
    """What each tensor of a lowered window has to do with time.

    Raises UnsupportedOp for several inputs, an input without time, a state, and layers that join
    tensors of other rates.
    """
    if len(graph.inputs) != 1:
        raise UnsupportedOp(f"a stream has one input, {graph.name!r} has {len(graph.inputs)}")
    (source,) = graph.inputs
    axis = time_axis(graph.tensors[source].shape)
    every, reaches = {source: 1}, dict[str, Reach]()
    for node in graph.nodes:
        _refuse_kept(node)
        rates = {every[name] for name in node.inputs if name in every}
        reach = _reach(graph, node, axis) if set(node.inputs) <= set(every) else None
        if reach is None:
            continue
        if len(rates) > 1:
            raise UnsupportedOp(
                f"layer {node.name!r} ({node.op}) joins one cell every {min(rates)} frames with "
                f"one every {max(rates)}; a stream joins equal rates"
            )
        reaches[node.name], every[node.outputs[0]] = reach, rates.pop() * reach.stride
    frames = graph.tensors[source].shape[axis]
    needs = _needs(graph, axis, every, reaches)
    return Timing(axis, every, reaches, {source: needs.pop(source), **needs}, frames)


def _refuse_kept(node: Node) -> None:
    experts = bool(getattr(node.attrs, "experts", None))
    if OPS[node.op].memory is not None or experts:
        what = "has experts" if experts else "keeps a state of its own"
        raise UnsupportedOp(f"layer {node.name!r} ({node.op}) {what}; --stream takes neither")


def _reach(graph: Graph, node: Node, axis: int) -> Reach | None:
    """None also where time ends in one cell: that is the window's whole."""
    site = Site(graph, node)
    reach = OPS[node.op].reach(node.attrs, site.io, site.params, axis)
    return None if reach is None or site.output_shape[axis] == 1 else reach


def _needs(
    graph: Graph, axis: int, every: Mapping[str, int], reaches: Mapping[str, Reach]
) -> dict[str, Span]:
    def whole(name: str) -> Span:
        return Span(0, graph.tensors[name].shape[axis] - 1)

    needs = {name: whole(name) for name in graph.outputs if name in every}
    for node in reversed(graph.nodes):
        reach = reaches.get(node.name)
        wanted = needs.get(node.outputs[0])
        if reach is not None and wanted is None:
            continue  # nothing reads it
        for name in (n for n in node.inputs if n in every):
            read = whole(name) if reach is None or wanted is None else _read(reach, wanted)
            needs[name] = read.around(needs.get(name))
    return needs


def _read(reach: Reach, made: Span) -> Span:
    """The cells of an input that those of an output are made of."""
    first = made.first * reach.stride - reach.before
    return Span(first, made.last * reach.stride - reach.before + reach.kernel - 1)


def padded(graph: Graph, time: Timing) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The layers that pad along time: in front, and behind."""
    front, behind = [], []
    for node in graph.nodes:
        reach = time.reaches.get(node.name)
        if reach is None:
            continue
        given, made = (graph.tensors[n].shape[time.axis] for n in (node.inputs[0], node.outputs[0]))
        read = _read(reach, Span(0, made - 1))
        front += [node.name] if read.first < 0 and reach.before > 0 else []
        behind += [node.name] if read.last >= given else []
    return tuple(front), tuple(behind)


def stream(graph: Graph, hop: int, lookahead: bool = False, period_s: float | None = None) -> Graph:
    """One step of `hop` frames of a lowered graph; kernels are to be chosen anew.

    Its answers equal the window's, bit for bit, once `graph.stream.window` frames have come: those
    of the window that ends with the hop, and of `unpadded` where layers pad along time. Raises
    UnsupportedOp, naming the layers, for a hop that strides do not divide, what `timing` refuses,
    and layers that look into the future without `lookahead`.
    """
    time = timing(graph)
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
    window = time.newest - time.oldest + 1
    made = _rebuilt(graph, time, spans)
    return replace(made, stream=Stream(hop, window, time.lookahead, period_s, time.axis))


def unpadded(graph: Graph) -> Graph:
    """The window without padding along time, which takes the frames that stand there instead."""
    time = timing(graph)
    spans = dict(time.needs)
    spans[graph.inputs[0]] = Span(time.oldest, time.newest)
    return _rebuilt(graph, time, spans)


def _rebuilt(graph: Graph, time: Timing, spans: Mapping[str, Span]) -> Graph:
    """The graph where each tensor with time has the cells of its span alone."""
    build = _Rebuilding(graph, time, spans)
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
    def __init__(self, graph: Graph, time: Timing, spans: Mapping[str, Span]) -> None:
        self.graph, self.time, self.spans = graph, time, spans
        self.nodes: list[Node] = []
        self.tensors = dict(graph.tensors)
        self._found: dict[tuple[str, Span], str] = {}
        for name, span in spans.items():
            self.tensors[name] = self._of_cells(graph.tensors[name], span.cells)

    def _of_cells(self, kind: TensorType, cells: int) -> TensorType:
        return replace(kind, shape=with_entry(kind.shape, self.time.axis, cells))

    def add(self, node: Node) -> None:
        """The node on the cells that there are."""
        reach = self.time.reaches.get(node.name)
        if reach is None:
            inputs = tuple(self.whole(name) for name in node.inputs)
            self.nodes.append(replace(node, inputs=inputs, kernel=None))
            return
        made = self.spans[node.outputs[0]]
        inputs = tuple(self._cells(name, _read(reach, made)) for name in node.inputs)
        self.nodes.append(replace(node, inputs=inputs, attrs=reach.alone(made.cells), kernel=None))

    def whole(self, name: str) -> str:
        """A tensor, with all cells of its window where it has time."""
        if name not in self.spans:
            return name
        return self._cells(name, Span(0, self.graph.tensors[name].shape[self.time.axis] - 1))

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
        shape, axis = self.tensors[name].shape, self.time.axis
        start = with_entry((0,) * len(shape), axis, wanted.first - self.spans[name].first)
        attrs = Slice(start, with_entry(shape, axis, wanted.cells), (1,) * len(shape))
        return self._append("Slice", name, attrs, wanted.cells)

    def _kept(self, name: str, wanted: Span) -> str:
        late = self.spans[name].last - wanted.last
        return self._append(
            "History", name, History(self.time.axis, wanted.cells, late), wanted.cells
        )

    def _append(self, op: str, name: str, attrs: Slice | History, cells: int) -> str:
        taken = {node.name for node in (*self.graph.nodes, *self.nodes)}
        stem = f"{name.removesuffix('.out')}_{op.lower()}"
        own = _free(stem, taken)
        self.tensors[f"{own}.out"] = self._of_cells(self.tensors[name], cells)
        self.nodes.append(Node(own, op, (name,), (f"{own}.out",), attrs))
        return f"{own}.out"


def _free(stem: str, taken: Iterable[str]) -> str:
    names = set(taken)
    return next(
        n for i in range(len(names) + 1) if (n := f"{stem}_{i}" if i else stem) not in names
    )
