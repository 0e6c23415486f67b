"""What the operators of a .tflite file write, by name: so viewers of graphs tell them apart."""

from ai_edge_litert import (  # type: ignore[import-untyped,unused-ignore]
    schema_py_generated as schema,
)


def written_tensors(model: bytes) -> tuple[str, ...]:
    """The names of the operators' output tensors, in the order in which they run."""
    (subgraph,) = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0)).subgraphs
    names = (subgraph.tensors[at].name for op in subgraph.operators for at in op.outputs)
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)
