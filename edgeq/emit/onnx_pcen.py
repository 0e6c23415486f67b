"""Pcen, and its step from a state -> float ops."""

import numpy as np

from edgeq.emit.onnx_builder import OnnxBuilder
from edgeq.emit.onnx_log_mel import energies, floored, named, number, placed
from edgeq.ir import Graph, Node
from edgeq.ops.pcen import Pcen
from edgeq.ops.pcen_steps import PARTS

KEPT = "smoothed"  # of a step: what its state keeps


def pcen(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    """As log_mel. A band's mean over the frames so far is a product with constant weights."""
    energy = energies(b, graph, node, x[0])
    weights = node.attrs.weights(_frames(graph, node))
    given = b.constant(named(node, "weights"), weights, np.float32)
    kept = b.node("MatMul", [given, floored(b, node, energy)], named(node, "kept"))
    return placed(b, graph, node, _normalised(b, node, energy, kept))


def pcen_step(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    """From the state (1, codes) behind the sound; it is nothing where all of it is 0."""
    energy = energies(b, graph, node, x[0])
    new, before = floored(b, node, energy), _decoded(b, node, x[1])
    own = node.attrs.weights(_frames(graph, node))
    from_before = np.cumprod(np.full(len(own), 1 - node.attrs.smooth))[:, None]
    alike = own.copy()
    alike[:, 0] = node.attrs.smooth * (1 - node.attrs.smooth) ** np.arange(len(own))
    found = []
    for name, weights, value in (
        ("anew", own, new),
        ("on", alike, new),
        ("old", from_before, before),
    ):
        given = b.constant(named(node, f"{name}.weights"), weights, np.float32)
        found.append(b.node("MatMul", [given, value], named(node, name)))
    joined = b.node("Add", found[1:], named(node, "joined"))
    nothing = b.node("Equal", [before, number(b, node, "zero", 0.0)], named(node, "nothing"))
    kept = b.node("Where", [nothing, found[0], joined], named(node, KEPT))
    return placed(b, graph, node, _normalised(b, node, energy, kept))


def pcen_left(b: OnnxBuilder, own: Node, name: str) -> str:
    """The codes (1, 4 mels) of what the step `own` keeps behind its last frame."""
    ends = (("start", [-1]), ("end", [np.iinfo(np.int64).max]), ("axis", [1]))
    cut = [b.constant(f"{name}.last.{what}", value, np.int64) for what, value in ends]
    last = b.node("Slice", [b.prefix + named(own, KEPT), *cut], f"{name}.last")
    shape = b.constant(f"{name}.shape", [1, own.attrs.mels], np.int64)
    rest = b.node("Reshape", [last, shape], f"{name}.row")
    scale = b.constant(f"{name}.gain", own.attrs.gain, np.float32)
    rest, codes = b.node("Mul", [rest, scale], f"{name}.scaled"), list[str]()
    for part in reversed(range(PARTS)):
        unit = b.constant(f"{name}.unit_{part}", 2.0 ** (16 * part), np.float32)
        share = b.node("Div", [rest, unit], f"{name}.share_{part}")
        code = b.node("Floor", [share], f"{name}.floor_{part}")
        whole = b.node("Mul", [code, unit], f"{name}.whole_{part}")
        rest = b.node("Sub", [rest, whole], f"{name}.rest_{part}")
        codes.insert(0, _wrapped(b, f"{name}.code_{part}", code, above=32767.0, by=-65536.0))
    return b.node("Concat", codes, f"{name}.codes", axis=1)


def _decoded(b: OnnxBuilder, node: Node, state: str) -> str:
    """(1, 1, mels): the energies that a state keeps."""
    mels, name = node.attrs.mels, named(node, "before")
    cut = [
        b.constant(f"{name}.{what}", [value], np.int64)
        for what, value in (("start", 0), ("end", PARTS * mels), ("axis", 1))
    ]
    shape = b.constant(f"{name}.shape", [1, PARTS, mels], np.int64)
    codes = b.node("Slice", [state, *cut], f"{name}.cut")
    codes = b.node("Reshape", [codes, shape], f"{name}.codes")
    parts = _wrapped(b, f"{name}.parts", codes, above=-1.0, by=65536.0, below=True)
    units = 2.0 ** (16 * np.arange(PARTS))[None, None] / node.attrs.gain
    given = b.constant(f"{name}.units", units, np.float32)
    return b.node("MatMul", [given, parts], name)


def _wrapped(
    b: OnnxBuilder, name: str, codes: str, *, above: float, by: float, below: bool = False
) -> str:
    """`by` added to codes above a number, or (`below`) to others."""
    edge, step = (
        b.constant(f"{name}.{what}", value, np.float32)
        for what, value in (("edge", above), ("by", by))
    )
    moved = b.node("Add", [codes, step], f"{name}.moved")
    over = b.node("Greater", [codes, edge], f"{name}.over")
    either = [over, codes, moved] if below else [over, moved, codes]
    return b.node("Where", either, name)


def _frames(graph: Graph, node: Node) -> int:
    return graph.tensors[node.outputs[0]].size // int(node.attrs.features)


def _normalised(b: OnnxBuilder, node: Node, energy: str, kept: str) -> str:
    """(N, frames, mels)"""
    attrs: Pcen = node.attrs
    loudness = b.node("Pow", [kept, number(b, node, "alpha", attrs.alpha)], named(node, "loudness"))
    gained = b.node("Div", [energy, loudness], named(node, "gained"))
    moved = b.node("Add", [gained, number(b, node, "delta", attrs.delta)], named(node, "moved"))
    root = b.node("Pow", [moved, number(b, node, "exponent", attrs.root)], named(node, "root"))
    lift = number(b, node, "lift", attrs.lift + attrs.mean)
    lowered = b.node("Sub", [root, lift], named(node, "lowered"))
    return b.node("Div", [lowered, number(b, node, "std", attrs.std)], named(node, "scaled"))
