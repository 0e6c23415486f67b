"""Every C kernel: what it computes, what it takes, what it needs. Rows are tried in order."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node
from edgeq.kernels.streams import convolutions, lanes, row_groups, trits, two_rows
from edgeq.kernels.streams.stream import Stream

DSP, V6M = "dsp", "v6m"
TRITS_OUTPUTS, TRITS_SAVED_BYTES = 64, 1024
V6M_TRITS_OUTPUTS = 256  # from here on tables take fewer cycles than two rows a multiply
Scratch = Callable[[Graph, Node], int]
Shape = tuple[int, ...]
Padding = tuple[int, int, int, int]
Stride = tuple[int, int]
Suits = Callable[[Graph, Node], bool]
WindowScratch = Callable[[Shape, Shape, Shape, Padding, Stride], int]


def no_scratch(_graph: Graph, _node: Node) -> int:
    return 0


def any_shape(_graph: Graph, _node: Node) -> bool:
    return True


def patch_scratch(graph: Graph, node: Node) -> int:
    """Conv2D: one input patch; none for a 1x1 kernel without padding, which reads x in place."""
    _, height, width, channels = graph.type_of(node.params["weight"]).shape
    in_place = (height, width) == (1, 1) and not any(node.attrs.padding)
    return 0 if in_place else height * width * channels


def router_scratch(graph: Graph, node: Node) -> int:
    """Mixture: scores and sums of every expert, the first layer's output and two layer buffers."""
    layers = range(node.attrs.router.layers)
    widths = [graph.type_of(node.params[f"router.{i}.weight"]).shape[0] for i in layers]
    return 12 * widths[-1] + widths[0] + 2 * max(widths)


def router_dsp_scratch(graph: Graph, node: Node) -> int:
    """router_scratch, then the largest of its layers'."""
    layers = range(node.attrs.router.layers)
    shapes = [graph.type_of(node.params[f"router.{i}.weight"]).shape for i in layers]
    own = -(-router_scratch(graph, node) // 8) * 8
    return own + max(row_groups.scratch_bytes(inputs, outputs) for outputs, inputs in shapes)


def trits_scratch(graph: Graph, node: Node) -> int:
    """FullyConnected by tables: those of a block of columns, and the sums of all rows."""
    outputs, inputs = graph.type_of(node.params["weight"]).shape
    return trits.scratch_bytes(inputs, outputs)


def trits_suit(graph: Graph, node: Node) -> bool:
    """Enough outputs to share the tables, and enough weights to make up for the longer code."""
    outputs, inputs = graph.type_of(node.params["weight"]).shape
    return outputs >= TRITS_OUTPUTS and trits.saved_bytes(inputs, outputs) >= TRITS_SAVED_BYTES


def few_outputs(graph: Graph, node: Node) -> bool:
    """Too few for tables to be faster, on ARMv6-M."""
    return graph.type_of(node.params["weight"]).shape[0] < V6M_TRITS_OUTPUTS


def add_suits(graph: Graph, node: Node) -> bool:
    """Add: an input at half the common scale, and an output whose rounding stays inside a word."""
    multiplier, shift = (graph.param(node, name) for name in ("multiplier", "shift"))
    half = (multiplier == 2**30) & (shift == 0)
    inputs = half[:2].any() and (half | (shift < 0))[:2].all()
    return bool(inputs and -23 <= shift[2] <= -1)


def average_pool_suits(graph: Graph, node: Node) -> bool:
    """AveragePool2D: four channels and more, and a scale below a half."""
    channels = graph.type_of(node.inputs[0]).shape[-1]
    return channels >= 4 and bool((graph.param(node, "shift") <= -1).all())


def decides(kernel: str) -> Suits:
    """Cascade: that is its signal's."""

    def suits(_graph: Graph, node: Node) -> bool:
        return bool(node.attrs.rule.kernel == kernel)

    return suits


def _signal(name: str, *headers: str, sources: tuple[str, ...] = ()) -> "Kernel":
    """What a cascade decides by."""
    own, files = f"edgeq_{name}_s8", (f"edgeq_{name}_s8.c", *sources)
    return Kernel(own, "Cascade", None, files, (*_PUBLIC, *headers), suits=decides(own))


def gate_scratch(graph: Graph, node: Node) -> int:
    """Mixture with gates: an int32 accumulator for each output."""
    return 4 * int(np.prod(graph.type_of(node.outputs[0]).shape))


@dataclass(frozen=True)
class Kernel:
    """One function. `op` is what an op of the graph names in its column `code`; several may name
    one. Gate and Confidence belong to no node of their own.

    weight: packing token, None for kernels without weights. isa: "" for plain C, "dsp", "v6m".
    stream: how its weights are laid out; None for the packed rows of the token.
    sources and headers: files of firmware_templates/kernels that a firmware with it needs.
    scratch: bytes of 8-byte-aligned scratch for a node. needs: CPU features the code cannot
    do without. suits: whether a layer of that shape gains by it over the rows behind it.
    """

    name: str
    op: str
    weight: str | None
    sources: tuple[str, ...]
    headers: tuple[str, ...]
    scratch: Scratch = no_scratch
    isa: str = ""
    needs: frozenset[str] = frozenset()
    stream: Stream | None = None
    suits: Suits = any_shape

    @property
    def packing(self) -> str | None:
        """The token of its weights in flash: that of the format but for five trits in a byte."""
        return "t5" if self.stream is trits.T5 else self.weight

    @property
    def takes_scratch(self) -> bool:
        """Whether the function has a scratch argument (its size may still be 0 for a node)."""
        return self.op in ("Conv2D", "Mixture") or self.stream is not None


PUBLIC = "edgeq_kernels.h"
VERSION = "edgeq_kernel_version.h"  # its copy in an export carries the version
PUBLIC_DSP = "edgeq_kernels_dsp.h"
PROTOTYPES = {"": PUBLIC, DSP: PUBLIC_DSP, V6M: "edgeq_kernels_v6m.h"}  # by isa
REQUANTIZE = "edgeq_requantize.h"
LAYOUT = "edgeq_layout.h"
_DSP = ("edgeq_dsp.h", LAYOUT, REQUANTIZE)
_CONV_2D = ("edgeq_conv_2d_dsp.h", "edgeq_conv_2d_pairs_dsp.h", "edgeq_conv_2d_patches_dsp.h")
_DEPTHWISE = (
    "edgeq_depthwise_conv_2d_dsp.h",
    *(f"edgeq_depthwise_{part}_dsp.h" for part in ("any", "blocks", "slide", "strips")),
)
_SOFTMAX = ("edgeq_softmax_q15.c",)
_PUBLIC = (PUBLIC, VERSION)


def _fully_connected(weight: str) -> Kernel:
    name = f"edgeq_fully_connected_s8_{weight}"
    headers = (*_PUBLIC, REQUANTIZE, "edgeq_dot.h", "edgeq_fully_connected.h")
    return Kernel(name, "FullyConnected", weight, (f"{name}.c",), headers)


def _fully_connected_dsp(
    weight: str,
    own: tuple[str, ...],
    stream: Stream,
    scratch_bytes: Callable[[int, int], int],
) -> Kernel:
    def scratch(graph: Graph, node: Node) -> int:
        outputs, inputs = graph.type_of(node.params["weight"]).shape
        return scratch_bytes(inputs, outputs)

    name = f"edgeq_fully_connected_s8_{weight}_dsp"
    headers = (*_PUBLIC, PUBLIC_DSP, *_DSP, *own)
    needs = frozenset({DSP})
    sources = (f"{name}.c",)
    return Kernel(name, "FullyConnected", weight, sources, headers, scratch, DSP, needs, stream)


def _fully_connected_v6m(weight: str, suits: Suits = any_shape) -> Kernel:
    def scratch(graph: Graph, node: Node) -> int:
        return lanes.LANES[weight].scratch_bytes(graph.type_of(node.params["weight"]).shape[1])

    name = f"edgeq_fully_connected_s8_{weight}_v6m"
    headers = (*_PUBLIC, PROTOTYPES[V6M], REQUANTIZE, "edgeq_fully_connected_v6m.h")
    stream, needs = lanes.STREAMS[weight], frozenset({V6M})
    return Kernel(
        name, "FullyConnected", weight, (f"{name}.c",), headers, scratch, V6M, needs, stream, suits
    )


def _convolution_dsp(op: str, weight: str, stream: Stream, scratch_bytes: WindowScratch) -> Kernel:
    def scratch(graph: Graph, node: Node) -> int:
        given, made = graph.type_of(node.inputs[0]).shape, graph.type_of(node.outputs[0]).shape
        shape = graph.type_of(node.params["weight"]).shape
        return scratch_bytes(shape, given, made, node.attrs.padding, node.attrs.stride)

    own = _CONV_2D if op == "Conv2D" else _DEPTHWISE
    name = f"{own[0].removesuffix('_dsp.h')}_s8_{weight}_dsp"
    headers, needs = (*_PUBLIC, PUBLIC_DSP, *_DSP, *own), frozenset({DSP})
    return Kernel(name, op, weight, (f"{name}.c",), headers, scratch, DSP, needs, stream)


def _conv_2d(weight: str) -> Kernel:
    name = f"edgeq_conv_2d_s8_{weight}"
    headers = (*_PUBLIC, REQUANTIZE, "edgeq_dot.h", "edgeq_conv_2d.h")
    return Kernel(name, "Conv2D", weight, (f"{name}.c",), headers, patch_scratch)


def _depthwise(weight: str) -> Kernel:
    name = f"edgeq_depthwise_conv_2d_s8_{weight}"
    headers = (*_PUBLIC, REQUANTIZE, "edgeq_dot.h", "edgeq_depthwise_conv_2d.h", "edgeq_reach.h")
    return Kernel(name, "DepthwiseConv2D", weight, (f"{name}.c",), headers)


def _weightless(
    name: str,
    op: str,
    headers: tuple[str, ...] = (),
    more_sources: tuple[str, ...] = (),
    scratch: Scratch = no_scratch,
) -> Kernel:
    sources = (f"{name}.c", *more_sources)
    return Kernel(name, op, None, sources, (*_PUBLIC, REQUANTIZE, *headers), scratch)


def _weightless_dsp(name: str, op: str, suits: Suits) -> Kernel:
    headers, needs = (*_PUBLIC, PUBLIC_DSP, *_DSP), frozenset({DSP})
    return Kernel(name, op, None, (f"{name}.c",), headers, isa=DSP, needs=needs, suits=suits)


_WIDE = ("edgeq_fully_connected_dsp.h",)
_NARROW = ("edgeq_narrow_dsp.h", "edgeq_narrow_rows_dsp.h")

# the fast kernels of an extension first: a core without it passes them by; then tables, for the
# layers that gain by them
KERNELS: tuple[Kernel, ...] = (
    _fully_connected_dsp("s16", _WIDE, row_groups.S16, row_groups.scratch_bytes),
    _fully_connected_dsp("s8", _WIDE, row_groups.S8, row_groups.scratch_bytes),
    _fully_connected_dsp("s4", _WIDE, row_groups.S4, row_groups.scratch_bytes),
    _fully_connected_dsp("s3", _WIDE, row_groups.S3, row_groups.scratch_bytes),
    _fully_connected_dsp("s2", _NARROW, two_rows.S2, two_rows.scratch_bytes_s2),
    _fully_connected_dsp("t2", _NARROW, two_rows.T2, two_rows.scratch_bytes_t2),
    _fully_connected_dsp("b1", _NARROW, two_rows.B1, two_rows.scratch_bytes_b1),
    _convolution_dsp("Conv2D", "s8", convolutions.CONV_S8, convolutions.scratch_bytes_conv_s8),
    _convolution_dsp("Conv2D", "s4", convolutions.CONV_S4, convolutions.scratch_bytes_conv_s4),
    _convolution_dsp("Conv2D", "t2", convolutions.CONV_T2, convolutions.scratch_bytes_conv_t2),
    _convolution_dsp(
        "DepthwiseConv2D", "s8", convolutions.DEPTHWISE_S8, convolutions.scratch_bytes_depthwise_s8
    ),
    _convolution_dsp(
        "DepthwiseConv2D", "s4", convolutions.DEPTHWISE_S4, convolutions.scratch_bytes_depthwise_s4
    ),
    _weightless_dsp("edgeq_add_s8_dsp", "Add", add_suits),
    _weightless_dsp("edgeq_average_pool_2d_s8_dsp", "AveragePool2D", average_pool_suits),
    Kernel(
        "edgeq_router_s8_dsp",
        "Mixture",
        None,
        ("edgeq_router_s8_dsp.c", "edgeq_fully_connected_s8_s8_dsp.c", *_SOFTMAX),
        (
            *_PUBLIC,
            PUBLIC_DSP,
            *_DSP,
            *_WIDE,
            "edgeq_router.h",
            "edgeq_softmax_q15.h",
        ),
        router_dsp_scratch,
        DSP,
        frozenset({DSP}),
        row_groups.S8,
    ),
    _fully_connected_v6m("s8"),
    _fully_connected_v6m("s4"),
    _fully_connected_v6m("s3"),
    _fully_connected_v6m("s2"),
    _fully_connected_v6m("t2", few_outputs),
    _fully_connected_v6m("b1"),
    Kernel(
        "edgeq_fully_connected_s8_t5",
        "FullyConnected",
        "t2",
        ("edgeq_fully_connected_s8_t5.c",),
        (*_PUBLIC, LAYOUT, REQUANTIZE),
        trits_scratch,
        stream=trits.T5,
        suits=trits_suit,
    ),
    _fully_connected("s16"),
    _fully_connected("s8"),
    _fully_connected("s4"),
    _fully_connected("s3"),
    _fully_connected("s2"),
    _fully_connected("t2"),
    _fully_connected("b1"),
    _conv_2d("s8"),
    _conv_2d("s4"),
    _conv_2d("s3"),
    _conv_2d("s2"),
    _conv_2d("t2"),
    _conv_2d("b1"),
    _depthwise("s8"),
    _depthwise("s4"),
    _weightless("edgeq_average_pool_2d_s8", "AveragePool2D"),
    _weightless("edgeq_mean_pool_2d_s8", "MeanPool2D", ("edgeq_reach.h",)),
    _weightless("edgeq_max_pool_2d_s8", "MaxPool2D", ("edgeq_reach.h",)),
    _weightless("edgeq_add_s8", "Add"),
    _weightless("edgeq_sum_s8", "Sum"),
    _weightless("edgeq_sum_constant_s8", "SumConstant", (), ("edgeq_sum_s8.c",)),
    _weightless("edgeq_multiply_s8", "Multiply"),
    _weightless("edgeq_multiply_constant_s8", "MultiplyConstant", (), ("edgeq_multiply_s8.c",)),
    Kernel("edgeq_extreme_s8", "Extreme", None, ("edgeq_extreme_s8.c",), _PUBLIC),
    Kernel("edgeq_concat_s8", "Concat", None, ("edgeq_concat_s8.c",), _PUBLIC),
    Kernel("edgeq_copy_s8", "Copy", None, ("edgeq_copy_s8.c",), _PUBLIC),
    _weightless("edgeq_batch_matmul_s8", "BatchMatMul"),
    Kernel("edgeq_gather_s8", "Gather", None, ("edgeq_gather_s8.c",), _PUBLIC),
    _weightless("edgeq_resize_linear_s8", "ResizeLinear"),
    _weightless("edgeq_relu_s8", "Relu"),
    _weightless("edgeq_prelu_s8", "PRelu"),
    _weightless("edgeq_narrow_s16", "Narrow"),
    Kernel("edgeq_delay_s8", "Delay", None, ("edgeq_delay_s8.c",), _PUBLIC),
    Kernel("edgeq_lookup_s8", "Lookup", None, ("edgeq_lookup_s8.c",), _PUBLIC),
    _weightless("edgeq_layer_norm_s8", "LayerNorm", ("edgeq_rsqrt.h",)),
    _weightless("edgeq_group_norm_s8", "GroupNorm", ("edgeq_rsqrt.h",)),
    _weightless("edgeq_softmax_s8", "Softmax", ("edgeq_softmax_q15.h",), _SOFTMAX),
    _weightless("edgeq_softmax_q31_s8", "SoftmaxQ31"),
    _weightless("edgeq_log_softmax_s8", "LogSoftmax"),
    _weightless(
        "edgeq_router_s8",
        "Mixture",
        ("edgeq_router.h", "edgeq_softmax_q15.h", "edgeq_dot.h", "edgeq_fully_connected.h"),
        ("edgeq_fully_connected_s8_s8.c", *_SOFTMAX),
        router_scratch,
    ),
    _weightless("edgeq_gate_s8", "Gate", scratch=gate_scratch),
    _signal("gap"),
    _signal("entropy", "edgeq_softmax_q15.h", REQUANTIZE, sources=_SOFTMAX),
    _signal("spread", "edgeq_softmax_q15.h", REQUANTIZE, sources=_SOFTMAX),
    _signal("ensemble"),
    _weightless("edgeq_confidence_s8", "Confidence", ("edgeq_softmax_q15.h",), _SOFTMAX),
)


def select(
    op: str,
    weight_format: str | None,
    features: Iterable[str] = (),
    suits: Callable[[Kernel], bool] = lambda kernel: kernel.suits is any_shape,
) -> Kernel:
    """The first row for this op and weight format that a core with `features` can run.

    `weight_format` is None for ops without weights. `suits`: what else a row must meet; by default
    it must take every shape. Raises UnsupportedOp.
    """
    has = frozenset(features)
    rows = [k for k in KERNELS if k.op == op]
    for kernel in rows:
        if kernel.weight == weight_format and kernel.needs <= has and suits(kernel):
            return kernel
    if not rows:
        raise UnsupportedOp(
            f"no kernel computes {op}; there are kernels for "
            f"{', '.join(dict.fromkeys(k.op for k in KERNELS))}"
        )
    weights = ", ".join(dict.fromkeys(str(k.weight) for k in rows))
    raise UnsupportedOp(
        f"no kernel computes {op} with weights {weight_format}; there are {weights}; "
        "train the layer at one of these widths"
    )


def kernel_named(name: str) -> Kernel:
    """The row of a kernel that a node names. Raises UnsupportedOp."""
    for kernel in KERNELS:
        if kernel.name == name:
            return kernel
    raise UnsupportedOp(f"no kernel is named {name!r}; edgeq/kernels/table.py lists them all")
