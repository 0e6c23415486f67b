"""Functions of layers that run in bands, so as to write over their input, or whose weights are
copied to RAM first.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edgeq.emit.firmware_layers import Layer, mixture_of
from edgeq.ir import Graph
from edgeq.kernels import kernel_named
from edgeq.kernels.bands import sliding
from edgeq.kernels.staging import staged_bytes
from edgeq.memory import Bands, MemoryPlan
from edgeq.placement import Order


@dataclass(frozen=True)
class BandsCode:
    """`static void <symbol>(x, y)`, with scratch where the kernel takes it. `loop` is the head of
    its loop over `row`, "" without one; a row of the input and of the output has so many bytes.
    `staged_words`: what it copies to RAM before, a last argument says whereto.
    """

    symbol: str
    comment: str
    layer: str
    kernel: str
    takes_scratch: bool
    loop: str
    rows: int
    input_bytes: int
    output_bytes: int
    staged_words: int = 0


def bands_symbol(layer: Layer) -> str:
    """The function that runs the layer in bands."""
    return f"layer_{layer.info.index}_in_bands"


def staged_symbol(layer: Layer) -> str:
    """The function that runs a staged layer in one call."""
    return f"layer_{layer.info.index}_staged"


def bands_of(plan: MemoryPlan, graph: Graph, layer: Layer) -> Bands | None:
    """How the layer of this graph runs, None for in one call; the plan is of the whole graph."""
    if layer.part != "node":
        return None
    if layer.info.expert is None:
        return plan.bands.get(layer.node.name)
    node = mixture_of(graph)
    assert node is not None  # a layer of an expert
    names = [expert.name for expert in node.attrs.experts]
    return plan.experts[names.index(layer.info.expert)].bands.get(layer.node.name)


def bands_code(plan: MemoryPlan, graph: Graph, layers: Iterable[Layer]) -> tuple[BandsCode, ...]:
    """One function for each layer in bands or staged, in the order of the layers."""
    return tuple(_codes(plan, graph, layers))


def calls_of(plan: MemoryPlan, graph: Graph, layers: Iterable[Layer]) -> dict[int, int]:
    """How often each layer in bands calls its kernel, by the layer's index."""
    found = {}
    for layer in layers:
        bands = bands_of(plan, graph, layer)
        if bands is not None:
            rows = sliding(layer.graph, layer.node).output_rows
            found[layer.info.index] = -(-rows // bands.rows)
    return found


def _codes(plan: MemoryPlan, graph: Graph, layers: Iterable[Layer]) -> Iterator[BandsCode]:
    for layer in layers:
        bands = bands_of(plan, graph, layer)
        words = staged_bytes(layer.graph, layer.node) // 4 if layer.node.staged else 0
        if bands is not None:
            yield _in_bands(layer, bands, words)
        elif words:
            yield _at_once(layer, words)


def _in_bands(layer: Layer, bands: Bands, words: int) -> BandsCode:
    index, kernel = layer.info.index, layer.info.kernel
    slide = sliding(layer.graph, layer.node)
    what = "pixels" if slide.pixels else "rows"
    first = ", the last first" if bands.order is Order.DOWN else ""
    more = f" {_staged(words)}." if words else ""
    return BandsCode(
        bands_symbol(layer),
        f"Layer {index} by {bands.rows} {what} of its output{first}: "
        f"it may write over its input.{more}",
        f"layer_{index}",
        kernel,
        kernel_named(kernel).takes_scratch,
        _loop(bands, slide.output_rows),
        bands.rows,
        slide.input_bytes,
        slide.output_bytes,
        words,
    )


def _at_once(layer: Layer, words: int) -> BandsCode:
    index, kernel = layer.info.index, layer.info.kernel
    symbol, comment = staged_symbol(layer), f"Layer {index}. {_staged(words)}."
    takes_scratch = kernel_named(kernel).takes_scratch
    return BandsCode(symbol, comment, f"layer_{index}", kernel, takes_scratch, "", 0, 0, 0, words)


def _staged(words: int) -> str:
    return f"Its weights are read from RAM: {4 * words} bytes, copied once"


def _loop(bands: Bands, rows: int) -> str:
    if bands.order is Order.UP:
        return f"int32_t row = 0; row < {rows}; row += {bands.rows}"
    last = (rows - 1) // bands.rows * bands.rows
    return f"int32_t row = {last}; row >= 0; row -= {bands.rows}"
