"""For every row of KERNELS its cases against the numpy reference: fixed seeds, one table."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from edgeq.kernels import KERNELS, Kernel
from edgeq.kernels.table import MVE
from tests.kernels.differential import (
    bands,
    block_rows,
    carried,
    convolutions,
    elementwise,
    frames,
    fully_connected,
    l2_normalize,
    log_mel,
    log_softmax,
    parts,
    pcen_steps,
    routers,
    shapes,
    signal_kernels,
    staged,
    vectors,
)
from tests.kernels.differential.case import Case

Cases = Callable[[], Iterator[Case]]

SHAPES = (
    "sum",
    "sum_constant",
    "squared_difference",
    "squared_difference_constant",
    "multiply",
    "multiply_constant",
    "extreme",
    "concat",
    "copy",
    "gather",
    "resize_linear",
)
NUMERIC = ("batch_matmul", "group_norm", "prelu", "arg_max")
RECURRENT = ("lstm", "gru", "mgu")

WIDE = (
    "edgeq_conv_2d_s16_s8",
    "edgeq_max_pool_2d_s16",
    "edgeq_mean_pool_2d_s16",
    "edgeq_add_s16",
    "edgeq_widen_s8",
)

DIFFERENTIAL: Mapping[str, Cases] = {
    **{
        f"edgeq_fully_connected_s8_{token}": partial(fully_connected.plain_cases, token)
        for token in ("s16", "s8", "s4", "s3", "s2", "t2", "b1")
    },
    **{
        f"edgeq_fully_connected_s8_{token}_dsp": partial(fully_connected.stream_cases, token)
        for token in ("s16", "s8", "s4", "s4_whole", "s3", "s2", "t2", "t2_whole", "b1")
    },
    **{
        f"edgeq_fully_connected_s8_{token}": partial(fully_connected.stream_cases, token)
        for token in ("t5", "s8_v6m", "s4_v6m", "s3_v6m", "s2_v6m", "t2_v6m", "b1_v6m")
    },
    **{
        f"edgeq_fully_connected_s8_{token}_mve": partial(vectors.fully_connected_cases, token)
        for token in ("s8", "s4", "t2")
    },
    **{
        f"edgeq_conv_2d_s8_{token}_mve": partial(vectors.window_cases, "Conv2D", token)
        for token in ("s8", "s4", "t2")
    },
    "edgeq_depthwise_conv_2d_s8_s8_mve": partial(vectors.window_cases, "DepthwiseConv2D", "s8"),
    **{
        f"edgeq_conv_2d_s8_{token}": partial(convolutions.plain_cases, "Conv2D", token)
        for token in ("s8", "s4", "s3", "s2", "t2", "b1")
    },
    **{
        f"edgeq_depthwise_conv_2d_s8_{token}": partial(
            convolutions.plain_cases, "DepthwiseConv2D", token
        )
        for token in ("s8", "s4")
    },
    **{
        convolutions.function_of(name): partial(convolutions.stream_cases, name)
        for name in convolutions.STREAMS
    },
    "edgeq_depthwise_frame_s8_s8_dsp": convolutions.frame_cases,
    "edgeq_conv_2d_band": bands.cases,
    "edgeq_conv_2d_staged": staged.cases,
    "edgeq_conv_2d_part": parts.cases,
    **{
        f"edgeq_block_fully_connected_s8_{token}{form}": partial(block_rows.cases, token, form)
        for token in ("s4", "t2")
        for form in (block_rows.PLAIN, block_rows.ROWS, block_rows.CELLS)
    },
    "edgeq_average_pool_2d_s8": elementwise.average_pool_cases,
    "edgeq_average_pool_2d_s8_dsp": elementwise.average_pool_dsp_cases,
    "edgeq_mean_pool_2d_s8": elementwise.mean_pool_cases,
    "edgeq_max_pool_2d_s8": elementwise.max_pool_cases,
    "edgeq_add_s8": elementwise.add_cases,
    **{
        f"edgeq_{name}_s8": partial(shapes.cases, f"edgeq_{name}_s8")
        for name in (*SHAPES, *NUMERIC)
    },
    "edgeq_add_s8_dsp": elementwise.add_dsp_cases,
    "edgeq_relu_s8": elementwise.relu_cases,
    **{
        name: partial(shapes.svdf_cases, name)
        for name in ("edgeq_svdf_feature_s8", "edgeq_svdf_feature_s8_dsp", "edgeq_svdf_time_s16")
    },
    **{name: partial(shapes.wide_cases, name) for name in WIDE},
    **{
        f"edgeq_{name}_s8{isa}": partial(shapes.cases, f"edgeq_{name}_s8{isa}")
        for name in RECURRENT
        for isa in ("", "_dsp")
    },
    **{
        f"edgeq_{name}_step_s8{isa}": partial(carried.cases, f"edgeq_{name}_step_s8{isa}")
        for name in RECURRENT
        for isa in ("", "_dsp")
    },
    "edgeq_narrow_s16": frames.narrow_cases,
    "edgeq_embedding_s16": frames.embedding_cases,
    "edgeq_delay_s8": frames.delay_cases,
    "edgeq_history_s8": frames.history_cases,
    "edgeq_lookup_s8": elementwise.lookup_cases,
    "edgeq_layer_norm_s8": elementwise.layer_norm_cases,
    "edgeq_softmax_s8": elementwise.softmax_cases,
    "edgeq_softmax_q31_s8": elementwise.softmax_q31_cases,
    "edgeq_l2_normalize_s8": l2_normalize.cases,
    "edgeq_log_softmax_s8": log_softmax.cases,
    **{
        f"edgeq_{op}_s16{isa}": partial(log_mel.cases, f"edgeq_{op}_s16{isa}")
        for op in ("log_mel", "mfcc", "pcen")
        for isa in ("", "_dsp")
    },
    **{
        f"edgeq_pcen_step_s16{isa}": partial(pcen_steps.cases, f"edgeq_pcen_step_s16{isa}")
        for isa in ("", "_dsp")
    },
    "edgeq_confidence_s8": elementwise.confidence_cases,
    "edgeq_gate_s8": elementwise.gate_cases,
    "edgeq_gap_s8": signal_kernels.gap_cases,
    "edgeq_entropy_s8": signal_kernels.entropy_cases,
    "edgeq_spread_s8": partial(signal_kernels.of_heads_cases, "monte_carlo"),
    "edgeq_ensemble_s8": partial(signal_kernels.of_heads_cases, "ensemble"),
    "edgeq_router_s8": partial(routers.router_cases, "edgeq_router_s8"),
    "edgeq_router_s8_dsp": partial(routers.router_cases, "edgeq_router_s8_dsp"),
}


def in_assembly(kernel: Kernel) -> bool:
    """Whether a Cortex-M4 or M0+ runs other code than the host, which has a twin in C."""
    return kernel.isa not in ("", MVE) or kernel.packing == "t5"


ASSEMBLY = tuple(kernel.name for kernel in KERNELS if in_assembly(kernel))
