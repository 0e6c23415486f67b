"""What a node keeps from one row to the next: of most ops all or none, of experts some."""

from edgeq.ir import Node
from edgeq.ops import OPS
from edgeq.ops.op import Memory


def memory_of(node: Node) -> Memory | None:
    """The memory of a node; None where it keeps nothing."""
    memory = OPS[node.op].memory
    return memory if memory is not None and memory.keeps(node.attrs) else None
