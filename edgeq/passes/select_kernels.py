"""Names the C kernel of every node: the first row of the kernel table that takes it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node
from edgeq.kernels.layer_needs import row_norms
from edgeq.kernels.streams.stream import Stream
from edgeq.kernels.table import DSP, KERNELS, Kernel, kernel_named, select, whole_norm
from edgeq.kernels.widening import wider_kernels
from edgeq.ops import OPS
from edgeq.ops.op import WEIGHT_RANGE, Accumulator, Call, Site

PLAIN: frozenset[str] = frozenset()


def select_kernels(graph: Graph, features: frozenset[str]) -> Graph:
    """`features` are the target core's ("dsp", ...). Raises UnsupportedOp listing every gap,
    those of a mixture's experts included.
    """
    gaps: list[str] = []
    chosen = _select(graph, features, gaps)
    if gaps:
        raise UnsupportedOp("no kernel for: " + "; ".join(gaps))
    return chosen


def kernel_gaps(graph: Graph) -> list[str]:
    """ "layer (why)" of every node that no kernel takes, whatever its numbers are."""
    gaps = []
    for node in graph.nodes:
        for expert in getattr(node.attrs, "experts", ()):
            gaps += [f"{expert.name}: {gap}" for gap in kernel_gaps(expert.graph)]
        code = OPS[node.op].code
        if isinstance(code, Call) and not getattr(node.attrs, "experts", ()):
            try:
                select(code.kernel, getattr(node.attrs, "weight_format", None), (), lambda _: True)
            except UnsupportedOp as error:
                gaps.append(f"{node.name} ({error})")
    return gaps


@dataclass(frozen=True)
class Fallback:
    """A layer that the core's own instructions do not compute; `expert` is None outside them."""

    expert: str | None
    layer: str
    kernel: str
    reason: str

    def __str__(self) -> str:
        where = f"{self.expert}: " if self.expert else ""
        return f"{where}{self.layer} runs on {self.kernel}, as {self.reason}"


def fallbacks(graph: Graph, features: frozenset[str]) -> tuple[Fallback, ...]:
    """Each layer whose numbers or width keep it off the core's fast kernels, and why."""
    return tuple(_fallbacks(graph, features, None))


def fallen(graph: Graph, features: frozenset[str]) -> tuple[str, ...]:
    """Its fallbacks, a line each."""
    return tuple(map(str, fallbacks(graph, features)))


def widened(graph: Graph, expert: str | None = None) -> Iterator[str]:
    """A line for each layer whose weights take more bits in flash than they have."""
    for node in graph.nodes:
        for one in getattr(node.attrs, "experts", ()):
            yield from widened(one.graph, one.name)
        own = getattr(node.attrs, "weight_format", None)
        stored = kernel_named(node.kernel).weight if node.kernel else own
        if stored != own:
            where = f"{expert}: " if expert else ""
            yield (
                f"{where}{node.name} stores its {own} weights as {stored}, as {node.kernel} "
                f"is faster than any kernel for {own}"
            )


def _fallbacks(graph: Graph, features: frozenset[str], expert: str | None) -> Iterator[Fallback]:
    for node in graph.nodes:
        for one in getattr(node.attrs, "experts", ()):
            yield from _fallbacks(one.graph, features, one.name)
        if not isinstance(OPS[node.op].code, Call):
            continue
        if any(not refusal(graph, node, kernel) for kernel in _wider(graph, node, features)):
            continue
        best = _best(graph, node, features)
        reason = refusal(graph, node, best) or _no_fast_row(best, features)
        if reason:
            yield Fallback(expert, node.name, node.kernel or best.name, reason)


def _no_fast_row(best: Kernel, features: frozenset[str]) -> str | None:
    """For weights that the core's extension has no kernel for, though it has some for the op."""
    rows = [k for k in KERNELS if k.op == best.op and k.needs and k.needs <= features]
    if best.weight is None or best.isa or best.stream is not None or not rows:
        return None
    widths = ", ".join(str(k.weight) for k in rows)
    return f"there is plain C alone for its {best.weight} weights; the fast ones are {widths}"


@dataclass(frozen=True)
class Split:
    """A fully connected layer whose rows a kernel sums in parts: `rows` of it have a larger norm
    than `most`, at which they would be whole. `expert` is None outside them."""

    expert: str | None
    layer: str
    rows: int
    most: int


def splits(graph: Graph, expert: str | None = None) -> Iterator[Split]:
    """Those of a graph whose kernels are chosen; nn.with_norm_bounds trains a model without."""
    for node in graph.nodes:
        for one in getattr(node.attrs, "experts", ()):
            yield from splits(one.graph, one.name)
        if node.op != "FullyConnected" or kernel_named(node.kernel or "").isa != DSP:
            continue
        inputs = graph.type_of(node.params["weight"]).shape[1]
        most = whole_norm(node.attrs.weight_format, inputs)
        if most is not None and (rows := int((row_norms(graph, node) > most).sum())):
            yield Split(expert, node.name, rows, most)


def refusal(graph: Graph, node: Node, kernel: Kernel) -> str | None:
    """Why the kernel would not be exact for this layer; None when it is, for every input."""
    stream = kernel.stream
    if stream is None:
        return None
    narrow = kernel.weight == "s8" and not stream.minus_128
    if narrow and graph.param(node, "weight").min() < WEIGHT_RANGE["s8"][0]:
        return "a weight is -128"
    if stream.most_norm is not None:
        norm = int(row_norms(graph, node).max())
        if norm > stream.most_norm:
            return f"a row's weights add up to {norm:,}, of {stream.most_norm:,}"
    if kernel.isa != DSP:  # the others requantise all the exporter makes
        return None
    sums = OPS[node.op].accumulators(Site(graph, node))
    return next((reason for a in sums if (reason := _refusal(a, stream))), None)


def _refusal(accumulator: Accumulator, stream: Stream) -> str | None:
    used = accumulator.multiplier != 0
    shift, reach = accumulator.shift.astype(np.int64), accumulator.reach
    if (used & (shift > stream.most_shift)).any():
        return "a channel's scale is a half or more"
    farthest = int((reach.astype(np.int64) << np.where(used, np.maximum(shift, 0), 0)).max())
    if farthest >= stream.reach:
        return f"an accumulator can reach {farthest:,}, of {stream.reach:,}"
    # a smaller scale is taken for 0, which it is where no sum reaches half a step of the output
    if (used & (shift < stream.least_shift) & (reach >= 2.0 ** (-shift - 1))).any():
        return (
            f"a channel has a scale below 2^{stream.least_shift} and sums that count all the same"
        )
    return None


def _best(graph: Graph, node: Node, features: frozenset[str]) -> Kernel:
    weight_format = getattr(node.attrs, "weight_format", None)
    code = OPS[node.op].code
    assert isinstance(code, Call)  # the callers have passed the others by
    return select(code.kernel, weight_format, features, lambda kernel: kernel.suits(graph, node))


def _wider(graph: Graph, node: Node, features: frozenset[str]) -> Iterator[Kernel]:
    """Faster kernels for wider weights than the layer's, were they not refused."""
    code = OPS[node.op].code
    if isinstance(code, Call) and "weight" in node.params:
        weights = int(np.prod(graph.type_of(node.params["weight"]).shape))
        own = getattr(node.attrs, "weight_format", None)
        rows = wider_kernels(code.kernel, own, features, weights)
        yield from (kernel for kernel in rows if kernel.suits(graph, node))


def _select(graph: Graph, features: frozenset[str], gaps: list[str]) -> Graph:
    return graph.with_nodes(_with_kernel(graph, node, features, gaps) for node in graph.nodes)


def _with_kernel(graph: Graph, node: Node, features: frozenset[str], gaps: list[str]) -> Node:
    if not isinstance(OPS[node.op].code, Call):
        return node
    node = node.with_experts(lambda _, own: _select(own, features, gaps))
    try:
        tried = (*_wider(graph, node, features), _best(graph, node, features))
        taken = next((k for k in tried if not refusal(graph, node, k)), None)
        kernel = taken or _best(graph, node, PLAIN)
    except UnsupportedOp as error:
        gaps.append(f"{node.name} ({error})")
        return node
    return replace(node, kernel=kernel.name, staged=False)
