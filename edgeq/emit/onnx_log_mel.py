"""LogMel and Mfcc -> float ops around ONNX's STFT."""

import numpy as np

from edgeq.emit.onnx_builder import OnnxBuilder, channels_first
from edgeq.ir import Graph, Node
from edgeq.ops.log_mel import LogMel
from edgeq.ops.mel import hann


def log_mel(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    """(N, 1, 1, samples) -> (N, mels, 1, frames); (N, 1, samples, 1) -> (N, 1, frames, mels)."""
    return placed(b, graph, node, _logs(b, graph, node, x[0]))


def mfcc(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    """As log_mel, of coefficients."""
    cosines = np.ascontiguousarray(node.attrs.cosines.T)
    given = [_logs(b, graph, node, x[0]), b.constant(named(node, "cosines"), cosines, np.float32)]
    return placed(b, graph, node, b.node("MatMul", given, named(node, "cepstrum")))


def placed(b: OnnxBuilder, graph: Graph, node: Node, made: str) -> str:
    """(N, frames, features) where the graph has them."""
    shape = channels_first(graph.tensors[node.outputs[0]].shape)
    features = node.attrs.features
    if shape[0] == features and features > 1:
        made = b.node("Transpose", [made], named(node, "bands_first"), perm=[0, 2, 1])
    return _reshaped(b, node, made, "shape", (-1, *shape))


def energies(b: OnnxBuilder, graph: Graph, node: Node, x: str) -> str:
    """(N, frames, mels)"""
    samples = graph.tensors[node.inputs[0]].size
    given = [_powers(b, node, x, samples), _filters(b, node)]
    return b.node("MatMul", given, named(node, "mel"))


def floored(b: OnnxBuilder, node: Node, energy: str) -> str:
    floor = number(b, node, "floor", node.attrs.floor)
    return b.node("Add", [energy, floor], named(node, "floored"))


def _logs(b: OnnxBuilder, graph: Graph, node: Node, x: str) -> str:
    """(N, frames, mels)"""
    attrs: LogMel = node.attrs
    energy = floored(b, node, energies(b, graph, node, x))
    log = b.node("Log", [energy], named(node, "log"))
    centred = b.node("Sub", [log, number(b, node, "mean", attrs.mean)], named(node, "centred"))
    return b.node("Div", [centred, number(b, node, "std", attrs.std)], named(node, "scaled"))


def _powers(b: OnnxBuilder, node: Node, x: str, samples: int) -> str:
    """(N, frames, bins): zeros stand behind a window that is shorter than its transform."""
    attrs: LogMel = node.attrs
    sound = _reshaped(b, node, x, "row", (-1, samples, 1))
    if attrs.preemphasis:
        sound = _emphasised(b, node, sound, samples)
    behind = attrs.fft - attrs.window
    window = np.concatenate([hann(attrs.window), np.zeros(behind)])
    if behind:
        pads = b.constant(named(node, "pads"), [0, 0, 0, 0, behind, 0], np.int64)
        sound = b.node("Pad", [sound, pads], named(node, "padded"))
    inputs = (("hop", attrs.hop, np.int64), ("window", window, np.float32))
    given = [b.constant(named(node, name), value, kind) for name, value, kind in inputs]
    length = b.constant(named(node, "length"), attrs.fft, np.int64)
    spectrum = b.node("STFT", [sound, *given, length], named(node, "stft"), onesided=1)
    axes = b.constant(named(node, "parts"), [-1], np.int64)
    return b.node("ReduceSumSquare", [spectrum, axes], named(node, "power"), keepdims=0)


def _emphasised(b: OnnxBuilder, node: Node, sound: str, samples: int) -> str:
    """Less a share of the sample before; a frame's first, whose window is 0, may have any."""
    ends = (("start", [0]), ("end", [samples - 1]), ("axis", [1]))
    cut = [b.constant(named(node, name), value, np.int64) for name, value in ends]
    earlier = b.node("Slice", [sound, *cut], named(node, "earlier"))
    pads = b.constant(named(node, "one_later"), [0, 1, 0, 0, 0, 0], np.int64)
    later = b.node("Pad", [earlier, pads], named(node, "before"))
    share = number(b, node, "preemphasis", node.attrs.preemphasis)
    return b.node(
        "Sub", [sound, b.node("Mul", [later, share], named(node, "share"))], named(node, "sharp")
    )


def _filters(b: OnnxBuilder, node: Node) -> str:
    return b.constant(
        named(node, "filters"), np.ascontiguousarray(node.attrs.filters.T), np.float32
    )


def _reshaped(b: OnnxBuilder, node: Node, x: str, name: str, shape: tuple[int, ...]) -> str:
    wanted = b.constant(named(node, f"{name}.shape"), list(shape), np.int64)
    return b.node("Reshape", [x, wanted], named(node, name))


def number(b: OnnxBuilder, node: Node, name: str, value: float) -> str:
    return b.constant(named(node, name), value, np.float32)


def named(node: Node, name: str) -> str:
    return f"{node.name}.{name}"
