"""One file per op; OPS is the whole table."""

from collections.abc import Mapping

from edgeq.ops import (
    add,
    average_pool_2d,
    batch_norm,
    broadcast,
    cascade,
    concat,
    conv_2d,
    copies,
    delay,
    depthwise_conv_2d,
    fully_connected,
    functions,
    gather,
    hard_swish,
    layer_norm,
    leaky_relu,
    max_pool_2d,
    mean_pool_2d,
    mixture,
    narrow,
    relu,
    reshape,
    resize_linear,
    softmax,
    softmax_q31,
)
from edgeq.ops.op import Op

OPS: Mapping[str, Op] = {
    op.name: op
    for op in (
        fully_connected.OP,
        conv_2d.OP,
        depthwise_conv_2d.OP,
        average_pool_2d.OP,
        max_pool_2d.OP,
        mean_pool_2d.OP,
        add.OP,
        *broadcast.BROADCAST,
        concat.OP,
        *copies.COPIES,
        gather.OP,
        resize_linear.OP,
        relu.OP,
        hard_swish.OP,
        leaky_relu.OP,
        *functions.FUNCTIONS,
        layer_norm.OP,
        softmax.OP,
        softmax_q31.OP,
        reshape.OP,
        delay.OP,
        narrow.OP,
        batch_norm.OP,
        mixture.OP,
        cascade.OP,
    )
}
