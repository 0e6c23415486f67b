"""Kernels and ops in fewer letters, for narrow tables."""


def short_op(op: str) -> str:
    """
    >>> short_op("depthwise_conv_2d")
    'dw_conv_2d'
    """
    return op.replace("fully_connected", "fc").replace("depthwise", "dw")


def short_kernel(kernel: str) -> str:
    """
    >>> short_kernel("edgeq_fully_connected_s8_t2_dsp")
    'fc_s8_t2_dsp'
    """
    return short_op(kernel.removeprefix("edgeq_"))
