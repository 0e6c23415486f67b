"""Every C kernel: what it computes, what it takes, what it needs. Rows are tried in order."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node
from edgeq.kernels.layer_needs import (
    Scratch,
    Suits,
    add_suits,
    any_shape,
    average_pool_suits,
    decides,
    few_outputs,
    gate_scratch,
    no_scratch,
    patch_scratch,
    router_dsp_scratch,
    router_scratch,
    trits_scratch,
    trits_suit,
)
from edgeq.kernels.streams import (
    convolutions,
    lanes,
    lines,
    patch_pairs,
    row_groups,
    trits,
    two_rows,
)
from edgeq.kernels.streams.stream import Stream

DSP, V6M = "dsp", "v6m"
Shape = tuple[int, ...]
Padding = tuple[int, int, int, int]
Stride = tuple[int, int]
WindowScratch = Callable[[Shape, Shape, Shape, Padding, Stride], int]


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
_OUTPUTS_V6M = (LAYOUT, REQUANTIZE, "edgeq_requantize_v6m.h", "edgeq_outputs_v6m.h")
_CONV_2D_V6M = ("edgeq_conv_2d_v6m.h", "edgeq_patch_v6m.h")
_DEPTHWISE_V6M = (
    "edgeq_dot.h",
    *(f"edgeq_{part}_v6m.h" for part in ("depthwise", "lines", "taps")),
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
    headers = (*_PUBLIC, PROTOTYPES[V6M], *_OUTPUTS_V6M, "edgeq_fully_connected_v6m.h")
    stream, needs = lanes.STREAMS[weight], frozenset({V6M})
    return Kernel(
        name, "FullyConnected", weight, (f"{name}.c",), headers, scratch, V6M, needs, stream, suits
    )


def _conv_2d_v6m(weight: str) -> Kernel:
    def scratch(graph: Graph, node: Node) -> int:
        return patch_pairs.scratch_bytes(weight, graph.type_of(node.params["weight"]).shape)

    name = f"edgeq_conv_2d_s8_{weight}_v6m"
    headers = (*_PUBLIC, PROTOTYPES[V6M], *_OUTPUTS_V6M, *_CONV_2D_V6M)
    stream, needs = patch_pairs.STREAMS[weight], frozenset({V6M})
    return Kernel(name, "Conv2D", weight, (f"{name}.c",), headers, scratch, V6M, needs, stream)


def _depthwise_v6m(weight: str) -> Kernel:
    def scratch(graph: Graph, node: Node) -> int:
        made, shape = (
            graph.type_of(node.outputs[0]).shape,
            graph.type_of(node.params["weight"]).shape,
        )
        return lines.scratch_bytes(shape, made, node.attrs.stride)

    name = f"edgeq_depthwise_conv_2d_s8_{weight}_v6m"
    headers = (*_PUBLIC, PROTOTYPES[V6M], *_OUTPUTS_V6M, *_DEPTHWISE_V6M)
    stream, needs, op = lines.STREAMS[weight], frozenset({V6M}), "DepthwiseConv2D"
    return Kernel(name, op, weight, (f"{name}.c",), headers, scratch, V6M, needs, stream)


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


def _signal(name: str, *headers: str, sources: tuple[str, ...] = ()) -> Kernel:
    """What a cascade decides by."""
    own, files = f"edgeq_{name}_s8", (f"edgeq_{name}_s8.c", *sources)
    return Kernel(own, "Cascade", None, files, (*_PUBLIC, *headers), suits=decides(own))


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
    _conv_2d_v6m("s8"),
    _conv_2d_v6m("s4"),
    _conv_2d_v6m("t2"),
    _depthwise_v6m("s8"),
    _depthwise_v6m("s4"),
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
    Kernel("edgeq_arg_max_s8", "ArgMax", None, ("edgeq_arg_max_s8.c",), _PUBLIC),
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
