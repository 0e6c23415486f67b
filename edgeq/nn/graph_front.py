"""What makes sound and maps another size, as nodes of a graph: front end and pools."""

from edgeq.errors import UnsupportedOp
from edgeq.ir import TensorType
from edgeq.nn import audio, pooling
from edgeq.nn.graph_constants import Loading, pair
from edgeq.ops.average_pool_2d import AveragePool2D
from edgeq.ops.copies import Expand
from edgeq.ops.graph_builder import Cursor
from edgeq.ops.log_mel import PCM
from edgeq.ops.max_pool_2d import MaxPool2D
from edgeq.ops.reshape import Reshape


def log_mel(b: Loading, m: audio.LogMel, path: str, x: Cursor) -> Cursor:
    if b.producer(x.name) is not None or b.nodes or ".experts." in path:
        raise UnsupportedOp("takes sound: it stands first in a model of one input")
    b.tensors[x.name] = TensorType(x.shape, "int16", PCM)
    return b.add(type(m.attrs).__name__, path, m.attrs, (x,))


def max_pool(b: Loading, m: pooling.MaxPool2d, path: str, x: Cursor) -> Cursor:
    pad = pair(m.padding)
    attrs = MaxPool2D(pair(m.kernel_size), pair(m.stride), (*pad, *pad))
    return b.add("MaxPool2D", path, attrs, (x,))


def avg_pool(b: Loading, m: pooling.AvgPool2d, path: str, x: Cursor) -> Cursor:
    if any(m.padding):
        raise UnsupportedOp("average pools with padding have no kernel; use padding 0")
    attrs = AveragePool2D(pair(m.kernel_size), pair(m.stride))
    return b.add("AveragePool2D", path, attrs, (x,))


def repeated(b: Loading, path: str, x: Cursor, times: int) -> Cursor:
    """Each channel of a map so many times, one after another: a depth multiplier."""
    if times == 1:
        return x
    height, width, channels = x.shape
    apart = b.add("Reshape", f"{path}.apart", Reshape((height, width, channels, 1)), (x,))
    wide = Expand((height, width, channels, times))
    copies = b.add("Expand", f"{path}.copies", wide, (apart,))
    whole = Reshape((height, width, channels * times))
    return b.add("Reshape", f"{path}.repeated", whole, (copies,))
