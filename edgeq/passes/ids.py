"""What an Embedding settles before calibration: its ids, and an output that holds its whole table.

Rows that no calibration row asks for would else leave the range of those that one does.
"""

from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node, TensorType
from edgeq.ops.broadcast import constant_quant
from edgeq.ops.embedding import IDS

NAME = "Embedding"


def settled_types(graph: Graph) -> dict[str, TensorType]:
    """Of ids, by tensor, and of rows whose scale no file settled. Raises UnsupportedOp for ids that
    another op computes or reads.
    """
    types: dict[str, TensorType] = {}
    for node in graph.nodes:
        if node.op == NAME:
            names = _under_other_shapes(graph, _entry(graph, node), node)
            types |= {name: TensorType(graph.tensors[name].shape, "int16", IDS) for name in names}
            made = node.outputs[0]
            if graph.tensors[made].quant is None:
                shape, table = graph.tensors[made].shape, graph.param(node, "table")
                types[made] = TensorType(shape, graph.tensors[made].dtype, constant_quant(table))
    return types


def rows_of_ids(graph: Graph) -> dict[str, int]:
    """The inputs that are ids, and how many rows they choose from."""
    found: dict[str, int] = {}
    for node in graph.nodes:
        if node.op == NAME:
            entry, rows = _entry(graph, node), len(graph.param(node, "table"))
            found[entry] = min(rows, found.get(entry, rows))
    return found


def _under_other_shapes(graph: Graph, entry: str, node: Node) -> list[str]:
    """The input and what names its ids anew. Raises UnsupportedOp where another op reads them."""
    names = [entry]
    for reader in graph.nodes:
        if not set(names) & set(reader.inputs) or reader.op == NAME:
            continue
        if reader.op != "Reshape":
            raise UnsupportedOp(
                f"{reader.name} ({reader.op}) computes with the ids of {node.name}; an input of "
                "ids is read by Embedding alone"
            )
        names.append(reader.outputs[0])
    return names


def _entry(graph: Graph, node: Node) -> str:
    """The input that the node's ids are."""
    name = node.inputs[0]
    while (before := graph.producer(name)) is not None:
        if before.op != "Reshape":
            raise UnsupportedOp(
                f"{node.name} (Embedding) reads what {before.name} ({before.op}) computes; its ids "
                "are an input of the model"
            )
        name = before.inputs[0]
    return name
