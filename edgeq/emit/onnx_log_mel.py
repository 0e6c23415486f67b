"""LogMel and Mfcc -> float ops around ONNX's STFT."""

import numpy as np

from edgeq.emit.onnx_builder import OnnxBuilder, channels_first
from edgeq.ir import Graph, Node
from edgeq.ops.log_mel import LogMel
from edgeq.ops.mel import hann


def log_mel(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    """(N, 1, 1, samples) -> (N, mels, 1, frames); (N, 1, samples, 1) -> (N, 1, frames, mels)."""
    return _placed(b, graph, node, _logs(b, graph, node, x[0]))


def mfcc(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    """As log_mel, of coefficients."""
    cosines = np.ascontiguousarray(node.attrs.cosines.T)
    given = [_logs(b, graph, node, x[0]), b.constant(_name(node, "cosines"), cosines, np.float32)]
    return _placed(b, graph, node, b.node("MatMul", given, _name(node, "cepstrum")))


def _placed(b: OnnxBuilder, graph: Graph, node: Node, made: str) -> str:
    """(N, frames, features) where the graph has them."""
    shape = channels_first(graph.tensors[node.outputs[0]].shape)
    features = node.attrs.features
    if shape[0] == features and features > 1:
        made = b.node("Transpose", [made], _name(node, "bands_first"), perm=[0, 2, 1])
    return _reshaped(b, node, made, "shape", (-1, *shape))


def _energy(b: OnnxBuilder, graph: Graph, node: Node, x: str) -> str:
    """(N, frames, mels)"""
    samples = graph.tensors[node.inputs[0]].size
    given = [_powers(b, node, x, samples), _filters(b, node)]
    return b.node("MatMul", given, _name(node, "mel"))


def _logs(b: OnnxBuilder, graph: Graph, node: Node, x: str) -> str:
    """(N, frames, mels)"""
    attrs: LogMel = node.attrs
    energy = _energy(b, graph, node, x)
    floored = b.node(
        "Add", [energy, _number(b, node, "floor", attrs.floor)], _name(node, "floored")
    )
    log = b.node("Log", [floored], _name(node, "log"))
    centred = b.node("Sub", [log, _number(b, node, "mean", attrs.mean)], _name(node, "centred"))
    return b.node("Div", [centred, _number(b, node, "std", attrs.std)], _name(node, "scaled"))


def _powers(b: OnnxBuilder, node: Node, x: str, samples: int) -> str:
    """(N, frames, bins): zeros stand behind a window that is shorter than its transform."""
    attrs: LogMel = node.attrs
    sound = _reshaped(b, node, x, "row", (-1, samples, 1))
    if attrs.preemphasis:
        sound = _emphasised(b, node, sound, samples)
    behind = attrs.fft - attrs.window
    window = np.concatenate([hann(attrs.window), np.zeros(behind)])
    if behind:
        pads = b.constant(_name(node, "pads"), [0, 0, 0, 0, behind, 0], np.int64)
        sound = b.node("Pad", [sound, pads], _name(node, "padded"))
    inputs = (("hop", attrs.hop, np.int64), ("window", window, np.float32))
    given = [b.constant(_name(node, name), value, kind) for name, value, kind in inputs]
    length = b.constant(_name(node, "length"), attrs.fft, np.int64)
    spectrum = b.node("STFT", [sound, *given, length], _name(node, "stft"), onesided=1)
    axes = b.constant(_name(node, "parts"), [-1], np.int64)
    return b.node("ReduceSumSquare", [spectrum, axes], _name(node, "power"), keepdims=0)


def _emphasised(b: OnnxBuilder, node: Node, sound: str, samples: int) -> str:
    """Less a share of the sample before; a frame's first, whose window is 0, may have any."""
    ends = (("start", [0]), ("end", [samples - 1]), ("axis", [1]))
    cut = [b.constant(_name(node, name), value, np.int64) for name, value in ends]
    earlier = b.node("Slice", [sound, *cut], _name(node, "earlier"))
    pads = b.constant(_name(node, "one_later"), [0, 1, 0, 0, 0, 0], np.int64)
    later = b.node("Pad", [earlier, pads], _name(node, "before"))
    share = _number(b, node, "preemphasis", node.attrs.preemphasis)
    return b.node(
        "Sub", [sound, b.node("Mul", [later, share], _name(node, "share"))], _name(node, "sharp")
    )


def _filters(b: OnnxBuilder, node: Node) -> str:
    return b.constant(
        _name(node, "filters"), np.ascontiguousarray(node.attrs.filters.T), np.float32
    )


def _reshaped(b: OnnxBuilder, node: Node, x: str, name: str, shape: tuple[int, ...]) -> str:
    wanted = b.constant(_name(node, f"{name}.shape"), list(shape), np.int64)
    return b.node("Reshape", [x, wanted], _name(node, name))


def _number(b: OnnxBuilder, node: Node, name: str, value: float) -> str:
    return b.constant(_name(node, name), value, np.float32)


def _name(node: Node, name: str) -> str:
    return f"{node.name}.{name}"
