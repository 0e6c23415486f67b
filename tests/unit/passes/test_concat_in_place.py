"""Which Concats nothing is left of, and what a graph from elsewhere may not claim."""

from dataclasses import replace

import pytest

from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ops import OPS
from edgeq.ops.concat import Concat, ConcatInPlace
from edgeq.passes.concat_in_place import in_place, why_apart
from edgeq.passes.verify import verify

QUANT = Quant((0.1,), 0)


def graph(shape: tuple[int, ...] = (8,), axis: int = 0, **parts: str) -> Graph:
    """y of two Quantize nodes of x; `parts` puts other tensors in place of a and b."""
    given = tuple(parts.get(name, name) for name in "ab")
    made = OPS["Concat"].result_shape(Concat(axis), (shape, shape), {})
    tensors = {name: TensorType(shape, "int8", QUANT) for name in ("x", "a", "b", "s")}
    tensors["y"] = TensorType(made, "int8", QUANT)
    nodes = [Node(n, "Quantize", ("x",), (n,), OPS["Quantize"].attrs()) for n in "ab"]
    nodes.append(Node("s", "Reshape", ("b",), ("s",), OPS["Reshape"].attrs(shape)))
    nodes.append(Node("y", "Concat", given, ("y",), Concat(axis)))
    kept = [n for n in nodes if n.name != "s" or "s" in parts.values()]
    return Graph("g", ("x",), ("y",), tuple(kept), tensors, {}).pruned()


def in_place_all(made: Graph) -> Graph:
    return made.with_nodes(in_place(made, node) for node in made.nodes)


def ops(made: Graph) -> list[str]:
    return [node.op for node in made.nodes]


def test_runs_that_kernels_write_are_parts() -> None:
    for shape, axis in (((8,), 0), ((1, 4, 6), 1), ((1, 1, 16), 2)):
        made = in_place_all(graph(shape, axis))
        assert ops(made) == ["Quantize", "Quantize", "ConcatInPlace"]
        verify(made, "quantized")


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (graph((2, 8), 1), ""),  # no runs of bytes
        (graph((7,)), "would begin at byte 7"),
        (graph(b="x"), "no kernel writes 'x'"),
        (graph(b="s"), "no kernel writes 's'"),
        (graph(b="a"), "'a' is read by others"),
        (replace(graph(), outputs=("y", "a"), output_names=("p", "q")), "'a' is read by others"),
    ],
)
def test_others_stay(made: Graph, why: str) -> None:
    assert in_place_all(made) == made
    node = made.nodes[-1]
    assert why in why_apart(made, node)
    if why:
        claimed = replace(node, op="ConcatInPlace", attrs=ConcatInPlace(node.attrs.axis))
        with pytest.raises(UnsupportedOp, match=why):
            verify(made.with_nodes([*made.nodes[:-1], claimed]), "quantized")


def test_no_runs_are_no_shape_of_it() -> None:
    with pytest.raises(ValueError, match="no runs of its bytes"):
        OPS["ConcatInPlace"].result_shape(ConcatInPlace(1), ((2, 8), (2, 8)), {})
