"""The ONNX node of a convolution, whatever its weights and bias are made of."""

from collections.abc import Sequence

from edgeq.emit.onnx_builder import OnnxBuilder
from edgeq.ir import Node


def convolution(
    b: OnnxBuilder, node: Node, inputs: Sequence[str], kernel: Sequence[int], groups: int
) -> str:
    """The name of its output. `inputs`: x, weight and bias; `kernel`: (height, width)."""
    return b.node(
        "Conv",
        list(inputs),
        f"{node.name}.conv",
        kernel_shape=list(kernel),
        strides=list(node.attrs.stride),
        dilations=list(node.attrs.dilation),
        pads=list(node.attrs.padding),  # both are (top, left, bottom, right)
        group=groups,
    )
