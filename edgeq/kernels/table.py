"""Every C kernel: what it computes, what it takes, what it needs. Rows are tried in order."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node
from edgeq.kernels.front_ends import FRONT_ENDS_DSP, FRONT_ENDS_PLAIN
from edgeq.kernels.headers import ALL as _PUBLIC
from edgeq.kernels.headers import DSP as _DSP
from edgeq.kernels.headers import LAYOUT, PUBLIC_DSP, REQUANTIZE
from edgeq.kernels.headers import PUBLIC as PUBLIC
from edgeq.kernels.headers import VERSION as VERSION
from edgeq.kernels.in_place import depthwise_dsp, on_its_input, on_whole_inputs
from edgeq.kernels.kernel import DSP as DSP
from edgeq.kernels.kernel import MVE as MVE
from edgeq.kernels.kernel import V6M as V6M
from edgeq.kernels.kernel import Kernel as Kernel
from edgeq.kernels.layer_needs import (
    Scratch,
    Suits,
    add_suits,
    any_shape,
    average_pool_suits,
    block_cells_scratch,
    block_scratch,
    decides,
    gate_scratch,
    no_scratch,
    one_window,
    paired_cells,
    patch_scratch,
    router_dsp_scratch,
    router_scratch,
    trits_scratch,
    trits_suit,
    whole_rows,
    without_tables,
)
from edgeq.kernels.recurrent import RECURRENT_DSP, RECURRENT_PLAIN
from edgeq.kernels.streams import (
    block_cells,
    block_rows,
    convolutions,
    lanes,
    lines,
    patch_pairs,
    row_groups,
    trits,
    two_rows,
)
from edgeq.kernels.streams.stream import Stream
from edgeq.kernels.weightless import weightless, weightless_dsp
from edgeq.ops.op import snake_case

Shape = tuple[int, ...]
Padding = tuple[int, int, int, int]
Stride = tuple[int, int]
WindowScratch = Callable[[Shape, Shape, Shape, Padding, Stride], int]


# by isa
PROTOTYPES = {"": PUBLIC, DSP: PUBLIC_DSP, MVE: "edgeq_kernels_mve.h", V6M: "edgeq_kernels_v6m.h"}
MOVE = "edgeq_move.h"
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


def _plain(op: str, weight: str, *more: str, scratch: Scratch = no_scratch) -> Kernel:
    name = f"edgeq_{snake_case(op)}_s8_{weight}"
    headers = (*_PUBLIC, REQUANTIZE, "edgeq_dot.h", f"edgeq_{snake_case(op)}.h", *more)
    return Kernel(name, op, weight, (f"{name}.c",), headers, scratch)


def _fully_connected_dsp(
    weight: str,
    own: tuple[str, ...],
    stream: Stream,
    scratch_bytes: Callable[[int, int], int],
    whole_from: int | None = None,
) -> Kernel:
    """whole_from: for rows of more columns than that whose norms need no splitting."""

    def scratch(graph: Graph, node: Node) -> int:
        outputs, inputs = graph.type_of(node.params["weight"]).shape
        return scratch_bytes(inputs, outputs)

    form = "" if whole_from is None else "_whole"
    suits = any_shape if whole_from is None else whole_rows(whole_from, stream)
    name = f"edgeq_fully_connected_s8_{weight}{form}_dsp"
    headers, needs, op = (*_PUBLIC, PUBLIC_DSP, *_DSP, *own), frozenset({DSP}), "FullyConnected"
    return Kernel(name, op, weight, (f"{name}.c",), headers, scratch, DSP, needs, stream, suits)


def _fully_connected_v6m(weight: str, suits: Suits = any_shape) -> Kernel:
    def scratch(graph: Graph, node: Node) -> int:
        return lanes.LANES[weight].scratch_bytes(graph.type_of(node.params["weight"]).shape[1])

    name = f"edgeq_fully_connected_s8_{weight}_v6m"
    headers = (*_PUBLIC, PROTOTYPES[V6M], *_OUTPUTS_V6M, "edgeq_fully_connected_v6m.h")
    stream, needs, op = lanes.STREAMS[weight], frozenset({V6M}), "FullyConnected"
    return Kernel(name, op, weight, (f"{name}.c",), headers, scratch, V6M, needs, stream, suits)


def _conv_2d_v6m(weight: str) -> Kernel:
    def scratch(graph: Graph, node: Node) -> int:
        return patch_pairs.scratch_bytes(weight, graph.type_of(node.params["weight"]).shape)

    name = f"edgeq_conv_2d_s8_{weight}_v6m"
    headers = (*_PUBLIC, PROTOTYPES[V6M], *_OUTPUTS_V6M, *_CONV_2D_V6M)
    stream, needs = patch_pairs.STREAMS[weight], frozenset({V6M})
    return Kernel(name, "Conv2D", weight, (f"{name}.c",), headers, scratch, V6M, needs, stream)


def _depthwise_v6m(weight: str) -> Kernel:
    def scratch(graph: Graph, node: Node) -> int:
        made, shape = (graph.type_of(n).shape for n in (node.outputs[0], node.params["weight"]))
        return lines.scratch_bytes(shape, made, node.attrs.stride)

    name = f"edgeq_depthwise_conv_2d_s8_{weight}_v6m"
    headers = (*_PUBLIC, PROTOTYPES[V6M], *_OUTPUTS_V6M, *_DEPTHWISE_V6M)
    stream, needs, op = lines.STREAMS[weight], frozenset({V6M}), "DepthwiseConv2D"
    return Kernel(name, op, weight, (f"{name}.c",), headers, scratch, V6M, needs, stream)


def _mve(plain: Kernel, *own: str) -> Kernel:
    """The vector form of a plain kernel, which takes its weights and its scratch."""
    name = f"{plain.name}_mve"
    headers = (*plain.headers, PROTOTYPES[MVE], "edgeq_mve.h", *own)
    return replace(
        plain, name=name, sources=(f"{name}.c",), headers=headers, isa=MVE, needs=frozenset({MVE})
    )


def _convolution_dsp(op: str, weight: str, stream: Stream, scratch_bytes: WindowScratch) -> Kernel:
    def scratch(graph: Graph, node: Node) -> int:
        given, made = graph.type_of(node.inputs[0]).shape, graph.type_of(node.outputs[0]).shape
        shape = graph.type_of(node.params["weight"]).shape
        return scratch_bytes(shape, given, made, node.attrs.padding, node.attrs.stride)

    own = _CONV_2D if op == "Conv2D" else _DEPTHWISE
    name = f"{own[0].removesuffix('_dsp.h')}_s8_{weight}_dsp"
    headers, needs = (*_PUBLIC, PUBLIC_DSP, *_DSP, *own), frozenset({DSP})
    row = Kernel(name, op, weight, (f"{name}.c",), headers, scratch, DSP, needs, stream)
    return row if op == "Conv2D" else replace(row, in_place=depthwise_dsp)


def _signal(name: str, *headers: str, sources: tuple[str, ...] = ()) -> Kernel:
    """What a cascade decides by."""
    own, files = f"edgeq_{name}_s8", (f"edgeq_{name}_s8.c", *sources)
    return Kernel(own, "Cascade", None, files, (*_PUBLIC, *headers), suits=decides(own))


def _block_dsp(weight: str, own: tuple[str, ...], stream: Stream) -> Kernel:
    name = f"edgeq_block_fully_connected_s8_{weight}_dsp"
    headers = (*_PUBLIC, PUBLIC_DSP, *_DSP, *_WIDE, "edgeq_block_dsp.h", *own)
    scratch, op, needs = block_scratch(weight), "BlockFullyConnected", frozenset({DSP})
    return Kernel(name, op, weight, (f"{name}.c",), headers, scratch, DSP, needs, stream)


def _block_cells_dsp(weight: str, stream: Stream) -> Kernel:
    name = f"edgeq_block_fully_connected_s8_{weight}_cells_dsp"
    headers = (*_PUBLIC, PUBLIC_DSP, *_DSP, "edgeq_block_cells_dsp.h", *_CONV_2D[1:])
    row, scratch = _block_dsp(weight, (), stream), block_cells_scratch(weight)
    row = replace(row, name=name, sources=(f"{name}.c",), headers=headers)
    return replace(row, scratch=scratch, suits=paired_cells)


def _both_sides(stem: str, op: str) -> tuple[Kernel, Kernel]:
    """Of two tensors, and of one and a constant."""
    two = weightless(f"{stem}_s8", op, in_place=on_whole_inputs)
    return two, weightless(f"{stem}_constant_s8", f"{op}Constant", (), two.sources)


_WIDE = ("edgeq_fully_connected_dsp.h",)
_TABLE = (*_WIDE, "edgeq_row_table_dsp.h")
_FOURS = (*_TABLE, "edgeq_row_fours_dsp.h")
_NARROW = ("edgeq_narrow_dsp.h", "edgeq_narrow_rows_dsp.h")

CHUNK_S4, CHUNK_T2 = 512, 64  # columns that the kernels for any weights take at once
WHOLE_ROWS = {
    "s4": (CHUNK_S4, row_groups.S4_WHOLE.most_norm),
    "t2": (CHUNK_T2, two_rows.T2_WHOLE.most_norm),
}

# the fast kernels of an extension first: a core without it passes them by; then tables, for the
# layers that gain by them
KERNELS: tuple[Kernel, ...] = (
    *(
        _mve(_plain("FullyConnected", w), "edgeq_fully_connected_mve.h", "edgeq_rows_mve.h")
        for w in ("s8", "s4", "t2")
    ),
    *(
        _mve(_plain("Conv2D", w, scratch=patch_scratch), "edgeq_conv_2d_mve.h", "edgeq_rows_mve.h")
        for w in ("s8", "s4", "t2")
    ),
    _mve(_plain("DepthwiseConv2D", "s8", "edgeq_reach.h")),
    _fully_connected_dsp("s16", _WIDE, row_groups.S16, row_groups.scratch_bytes),
    _fully_connected_dsp("s8", _TABLE, row_groups.S8, row_groups.scratch_bytes),
    _fully_connected_dsp("s4", _FOURS, row_groups.S4_WHOLE, row_groups.scratch_bytes, CHUNK_S4),
    _fully_connected_dsp("s4", _FOURS, row_groups.S4, row_groups.scratch_bytes),
    _fully_connected_dsp("s3", _WIDE, row_groups.S3, row_groups.scratch_bytes),
    _fully_connected_dsp("s2", _NARROW, two_rows.S2, two_rows.scratch_bytes_s2),
    _fully_connected_dsp(
        "t2", _NARROW, two_rows.T2_WHOLE, two_rows.scratch_bytes_t2_whole, CHUNK_T2
    ),
    _fully_connected_dsp("t2", _NARROW, two_rows.T2, two_rows.scratch_bytes_t2),
    _fully_connected_dsp("b1", _NARROW, two_rows.B1, two_rows.scratch_bytes_b1),
    _block_cells_dsp("s4", block_cells.S4),
    _block_cells_dsp("t2", block_cells.T2),
    _block_dsp("s4", (), block_rows.S4),
    _block_dsp("t2", ("edgeq_narrow_rows_dsp.h",), block_rows.T2),
    _convolution_dsp("Conv2D", "s8", convolutions.CONV_S8, convolutions.scratch_bytes_conv_s8),
    _convolution_dsp("Conv2D", "s4", convolutions.CONV_S4, convolutions.scratch_bytes_conv_s4),
    _convolution_dsp("Conv2D", "t2", convolutions.CONV_T2, convolutions.scratch_bytes_conv_t2),
    replace(
        weightless_dsp("edgeq_depthwise_frame_s8_s8_dsp", "DepthwiseConv2D", (), one_window),
        weight="s8",
        headers=(*_PUBLIC, PUBLIC_DSP, *_DSP, "edgeq_dot.h"),
    ),
    _convolution_dsp(
        "DepthwiseConv2D", "s8", convolutions.DEPTHWISE_S8, convolutions.scratch_bytes_depthwise_s8
    ),
    _convolution_dsp(
        "DepthwiseConv2D", "s4", convolutions.DEPTHWISE_S4, convolutions.scratch_bytes_depthwise_s4
    ),
    weightless_dsp("edgeq_add_s8_dsp", "Add", (), add_suits, in_place=on_whole_inputs),
    weightless_dsp("edgeq_average_pool_2d_s8_dsp", "AveragePool2D", (), average_pool_suits),
    *FRONT_ENDS_DSP,
    *RECURRENT_DSP,
    Kernel(
        "edgeq_router_s8_dsp",
        "Mixture",
        None,
        ("edgeq_router_s8_dsp.c", "edgeq_fully_connected_s8_s8_dsp.c", *_SOFTMAX),
        (*_PUBLIC, PUBLIC_DSP, *_DSP, *_TABLE, "edgeq_router.h", "edgeq_softmax_q15.h"),
        router_dsp_scratch,
        DSP,
        frozenset({DSP}),
        row_groups.S8,
    ),
    *(_fully_connected_v6m(w) for w in ("s8", "s4", "s3", "s2")),
    _fully_connected_v6m("t2", without_tables),
    _fully_connected_v6m("b1"),
    *(_conv_2d_v6m(w) for w in ("s8", "s4", "t2")),
    *(_depthwise_v6m(w) for w in ("s8", "s4")),
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
    *(_plain("FullyConnected", w) for w in ("s16", "s8", "s4", "s3", "s2", "t2", "b1")),
    *(_plain("BlockFullyConnected", w) for w in ("s4", "t2")),
    *(_plain("Conv2D", w, scratch=patch_scratch) for w in ("s8", "s4", "s3", "s2", "t2", "b1")),
    _plain("DepthwiseConv2D", "s8", "edgeq_reach.h"),
    _plain("DepthwiseConv2D", "s4", "edgeq_reach.h"),
    weightless("edgeq_conv_2d_band", "Band"),
    weightless("edgeq_conv_2d_staged", "Staged", (), ("edgeq_conv_2d_band.c",)),
    Kernel("edgeq_conv_2d_part", "Part", None, ("edgeq_conv_2d_part.c",), (*_PUBLIC, LAYOUT, MOVE)),
    weightless("edgeq_average_pool_2d_s8", "AveragePool2D"),
    weightless("edgeq_mean_pool_2d_s8", "MeanPool2D", ("edgeq_reach.h",)),
    weightless("edgeq_max_pool_2d_s8", "MaxPool2D", ("edgeq_reach.h",)),
    weightless("edgeq_add_s8", "Add", in_place=on_whole_inputs),
    *_both_sides("edgeq_sum", "Sum"),
    *_both_sides("edgeq_squared_difference", "SquaredDifference"),
    *_both_sides("edgeq_multiply", "Multiply"),
    Kernel("edgeq_extreme_s8", "Extreme", None, ("edgeq_extreme_s8.c",), _PUBLIC),
    Kernel("edgeq_concat_s8", "Concat", None, ("edgeq_concat_s8.c",), _PUBLIC),
    Kernel("edgeq_copy_s8", "Copy", None, ("edgeq_copy_s8.c",), _PUBLIC),
    weightless("edgeq_batch_matmul_s8", "BatchMatMul"),
    Kernel("edgeq_gather_s8", "Gather", None, ("edgeq_gather_s8.c",), _PUBLIC),
    weightless("edgeq_embedding_s16", "Embedding", (LAYOUT,)),
    weightless("edgeq_resize_linear_s8", "ResizeLinear"),
    weightless("edgeq_relu_s8", "Relu", in_place=on_its_input),
    weightless("edgeq_prelu_s8", "PRelu", in_place=on_its_input),
    weightless("edgeq_narrow_s16", "Narrow"),
    Kernel("edgeq_delay_s8", "Delay", None, ("edgeq_delay_s8.c",), _PUBLIC),
    *RECURRENT_PLAIN,
    weightless("edgeq_svdf_time_s16", "SvdfTime"),
    replace(weightless("edgeq_conv_2d_s16_s8", "WideConv2D"), weight="s8"),
    weightless("edgeq_max_pool_2d_s16", "WideMaxPool2D", ("edgeq_reach.h",)),
    weightless("edgeq_mean_pool_2d_s16", "WideMeanPool2D", ("edgeq_reach.h",)),
    weightless("edgeq_add_s16", "WideAdd", in_place=on_whole_inputs),
    weightless("edgeq_widen_s8", "Widen"),
    *FRONT_ENDS_PLAIN,
    Kernel("edgeq_history_s8", "History", None, ("edgeq_history_s8.c",), (*_PUBLIC, MOVE)),
    Kernel(
        "edgeq_lookup_s8", "Lookup", None, ("edgeq_lookup_s8.c",), _PUBLIC, in_place=on_its_input
    ),
    weightless("edgeq_layer_norm_s8", "LayerNorm", ("edgeq_rsqrt.h",), in_place=on_its_input),
    weightless("edgeq_group_norm_s8", "GroupNorm", ("edgeq_rsqrt.h",), in_place=on_its_input),
    weightless("edgeq_softmax_s8", "Softmax", ("edgeq_softmax_q15.h",), _SOFTMAX),
    weightless("edgeq_softmax_q31_s8", "SoftmaxQ31", ("edgeq_q31.h",)),
    weightless("edgeq_log_softmax_s8", "LogSoftmax", ("edgeq_q31.h",)),
    weightless("edgeq_l2_normalize_s8", "L2Normalize", in_place=on_its_input),
    Kernel("edgeq_arg_max_s8", "ArgMax", None, ("edgeq_arg_max_s8.c",), _PUBLIC),
    weightless(
        "edgeq_router_s8",
        "Mixture",
        ("edgeq_router.h", "edgeq_softmax_q15.h", "edgeq_dot.h", "edgeq_fully_connected.h"),
        ("edgeq_fully_connected_s8_s8.c", *_SOFTMAX),
        router_scratch,
    ),
    weightless("edgeq_gate_s8", "Gate", scratch=gate_scratch),
    _signal("gap"),
    _signal("entropy", "edgeq_softmax_q15.h", REQUANTIZE, sources=_SOFTMAX),
    _signal("spread", "edgeq_softmax_q15.h", REQUANTIZE, sources=_SOFTMAX),
    _signal("ensemble"),
    weightless("edgeq_confidence_s8", "Confidence", ("edgeq_softmax_q15.h",), _SOFTMAX),
)


def whole_norm(weight_format: str, inputs: int) -> int | None:
    """Of a fully connected row that DSP kernels split unless its norm is at most this: that norm;
    None for rows that are never split, or always."""
    chunk, most = WHOLE_ROWS.get(weight_format, (inputs, None))
    return most if inputs > chunk else None


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
        known = ", ".join(dict.fromkeys(k.op for k in KERNELS))
        raise UnsupportedOp(f"no kernel computes {op}; there are kernels for {known}")
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
