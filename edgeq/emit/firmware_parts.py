"""Functions of convolutions with groups or dilation, which run in parts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edgeq.emit.firmware_layers import Layer
from edgeq.kernels import kernel_named
from edgeq.kernels.parts import Parts, Rooms, Sampled, parts_of, rooms
from edgeq.weights import PackedWeights


@dataclass(frozen=True)
class PartsCode:
    """`static void <symbol>(x, y, scratch)`: what it loops over, and `struct`, the text of its
    edgeq_conv_2d_parts.
    """

    symbol: str
    comment: str
    layer: str
    kernel: str
    takes_scratch: bool
    struct: str
    groups: int
    rows: int
    columns: int
    rooms: Rooms


def parts_symbol(layer: Layer) -> str:
    """The function that runs the layer in parts."""
    return f"layer_{layer.info.index}_in_parts"


def runs_in_parts(layer: Layer) -> bool:
    return layer.part == "node" and parts_of(layer.graph, layer.node) is not None


def parts_code(layers: Iterable[Layer], packed: PackedWeights) -> tuple[PartsCode, ...]:
    """One function for each layer in parts, in the order of the layers."""
    return tuple(_codes(layers, packed))


def _codes(layers: Iterable[Layer], packed: PackedWeights) -> Iterator[PartsCode]:
    sizes = {constant.symbol: constant.bytes for constant in packed.constants}
    for layer in layers:
        parts = parts_of(layer.graph, layer.node) if layer.part == "node" else None
        if parts is None:
            continue
        kernel, info = kernel_named(layer.info.kernel), layer.info
        weight = packed.symbols[info.expert or "", layer.node.name, "weight"]
        phases = f"{parts.down.phases} times {parts.across.phases} phases"
        groups = f"{parts.groups} groups of " if parts.groups > 1 else ""
        yield PartsCode(
            parts_symbol(layer),
            f"Layer {info.index} as {groups}{phases}, a dense one each.",
            f"layer_{info.index}",
            kernel.name,
            kernel.takes_scratch,
            _struct(layer, parts, sizes[weight] // parts.groups),
            parts.groups,
            parts.down.phases,
            parts.across.phases,
            rooms(layer.graph, layer.node, kernel, parts),
        )


def _struct(layer: Layer, parts: Parts, weight_bytes: int) -> str:
    given, made = (
        layer.graph.type_of(name).shape[2] // parts.groups
        for name in (layer.node.inputs[0], layer.node.outputs[0])
    )
    return f"{given}, {made}, {weight_bytes}, {_axis(parts.down)}, {_axis(parts.across)}"


def _axis(axis: Sampled) -> str:
    return f"{{{axis.dilation}, {axis.apart}, {axis.stride}}}"
