"""ONNX's own node tests through importer, quantiser and integers: python -m tests.onnx_nodes.

A case is right when every answer lies within one output step of the float op on the dequantised
inputs. Only the first input is an activation: the others are parameters, taken as constants.
"""

import json
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgeq.errors import EdgeqError
from edgeq.frontend.onnx_file import parse
from edgeq.frontend.onnx_loader import Imported, imported
from edgeq.passes import quantize
from edgeq.reference import quantize_rows, run

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "docs" / "measured" / "onnx_nodes.json"
STEPS = 1.01  # one step, and what float32 leaves open
# what docs/import.md speaks of: layers, arithmetic, functions of one number, shapes, statistics
NAMED = frozenset(
    {
        "Abs",
        "Add",
        "ArgMax",
        "AveragePool",
        "BatchNormalization",
        "Clip",
        "Concat",
        "Conv",
        "ConvTranspose",
        "DepthToSpace",
        "Div",
        "Dropout",
        "Elu",
        "Erf",
        "Exp",
        "Expand",
        "Flatten",
        "Gather",
        "Gelu",
        "Gemm",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "GroupNormalization",
        "HardSigmoid",
        "HardSwish",
        "Identity",
        "InstanceNormalization",
        "LayerNormalization",
        "LeakyRelu",
        "Log",
        "LogSoftmax",
        "MatMul",
        "Max",
        "MaxPool",
        "Min",
        "Mish",
        "Mul",
        "Neg",
        "PRelu",
        "Pad",
        "Pow",
        "RMSNormalization",
        "Reciprocal",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceSum",
        "Relu",
        "Reshape",
        "Resize",
        "Selu",
        "Sigmoid",
        "Slice",
        "Softmax",
        "Softplus",
        "SpaceToDepth",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Sum",
        "Swish",
        "Tanh",
        "Tile",
        "Transpose",
        "Unsqueeze",
    }
)
# of these every input is an activation; they come as parts of one
ALL_ACTIVATIONS = frozenset({"Concat", "Max", "Min", "Sum"})
MOVING = frozenset(  # that may compute nothing: a Neg stands before them
    {"Clip", "Dropout", "Flatten", "Identity", "Max", "Min", "ReduceSum", "Reshape", "Squeeze"}
    | {"Sum", "Transpose", "Unsqueeze"}
)
Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """One test of ONNX's: its model, the arrays that it is given and should give."""

    name: str
    op: str
    model: ModelProto
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]


@dataclass(frozen=True)
class Outcome:
    """`result`: "right", "wrong", "refused", or "skipped" for what is no case; `why` of it."""

    name: str
    op: str
    result: str
    why: str = ""


@cache
def cases() -> tuple[Case, ...]:
    """All of onnx's node tests, in order of their names."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases(None)
    return tuple(sorted(_cases(found), key=lambda case: case.name))


def _cases(found: list[Any]) -> Iterator[Case]:
    for each in found:
        (node, *_), (given, made) = each.model.graph.node, each.data_sets[0]
        inputs, outputs = (tuple(map(_array, side)) for side in (given, made))
        yield Case(each.name, node.op_type, each.model, inputs, outputs)


def _array(value: Any) -> Array:
    """An array; of a sequence one without a number's type."""
    return (
        value if isinstance(value, np.ndarray | np.generic) else np.array([value is None], object)
    )


def skipped(case: Case) -> str:
    """Why the case is none of ours; "" where it counts."""
    if case.op not in NAMED:
        return "another operator"
    given = {a.name: helper.get_attribute_value(a) for a in case.model.graph.node[0].attribute}
    if (
        given.get("mode") == b"cubic"
        or given.get("antialias")
        or b"crop" in given.get("coordinate_transformation_mode", b"")
    ):
        return "an attribute that is not named: cubic, antialias, crop"
    if case.op == "Dropout" and len(case.inputs) > 2:
        return "training"
    if len(case.model.graph.node) != 1:
        return "an operator written as a function of others"
    if any(a.dtype == object for a in (*case.inputs, *case.outputs)):
        return "sequences or optional values"
    if len(case.inputs) != len(case.model.graph.input):
        return "inputs that are absent"
    if not case.inputs or case.inputs[0].dtype != np.float32:
        return "no float32 input"
    whole = case.op == "ArgMax" and case.outputs[0].dtype == np.int64
    if len(case.outputs) != 1 or not (whole or case.outputs[0].dtype == np.float32):
        return "not one float32 output"
    if any(a.ndim > 4 for a in (*case.inputs, *case.outputs)):
        return "more than 4 axes"
    if not case.inputs[0].size or not case.outputs[0].size:
        return "no values"
    versions = [e.version for e in case.model.opset_import if e.domain == ""]
    if versions and versions[0] < 13:
        return "an opset before 13"
    return ""


def wrapped(case: Case) -> bytes:
    """The node with a batch of 1 around its input and its output where they have none, parameters
    as initialisers. Several activations are parts of one row; what may compute nothing reads -x.
    """
    graph, many = case.model.graph, _activations(case)
    names = [value.name for value in graph.input]
    y = case.outputs[0].shape
    given = zip(names[many:], case.inputs[many:], strict=True)
    held = [numpy_helper.from_array(v, n) for n, v in given]
    held.append(numpy_helper.from_array(np.array([0], np.int64), "edge_axis"))
    nodes, name, x = _entry(case, names[:many], held)
    nodes += list(graph.node)
    out = graph.output[0].name
    if case.op == "ArgMax":
        nodes.append(helper.make_node("Cast", [out], ["edge_number"], to=TensorProto.FLOAT))
        out = "edge_number"
    if not _batched(y):
        nodes.append(helper.make_node("Unsqueeze", [out, "edge_axis"], ["edge_y"]))
        out, y = "edge_y", (1, *y)
    made = helper.make_graph(
        nodes,
        case.name,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, x)],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, y)],
        held,
    )
    model = helper.make_model(
        made, opset_imports=case.model.opset_import, ir_version=case.model.ir_version
    )
    return bytes(model.SerializeToString())


def _activations(case: Case) -> int:
    """How many of the inputs are activations, from the front."""
    return len(case.inputs) if case.op in ALL_ACTIVATIONS else 1


def _entry(case: Case, names: list[str], held: list[TensorProto]) -> tuple[list[Any], str, Shape]:
    """Nodes that make the node's activations of the model's input, its name and shape."""
    if len(names) > 1:
        return _parts(case, names, held), "edge_x", (1, sum(v.size for v in case.inputs))
    x, name, nodes = case.inputs[0].shape, names[0], []
    if case.op in MOVING:
        nodes.append(helper.make_node("Neg", ["edge_positive"], [name]))
        name = "edge_positive"
    if not _batched(x):
        nodes.insert(0, helper.make_node("Squeeze", ["edge_x", "edge_axis"], [name]))
        name, x = "edge_x", (1, *x)
    return nodes, name, x


def _parts(case: Case, names: list[str], held: list[TensorProto]) -> list[Any]:
    sizes = [v.size for v in case.inputs]
    held.append(numpy_helper.from_array(np.array(sizes, np.int64), "edge_sizes"))
    rows = [f"edge_{n}" for n in names]
    nodes = [helper.make_node("Split", ["edge_x", "edge_sizes"], rows, axis=1)]
    for row, name, value in zip(rows, names, case.inputs, strict=True):
        shape = numpy_helper.from_array(np.array(value.shape, np.int64), f"{row}_shape")
        held.append(shape)
        nodes.append(helper.make_node("Reshape", [row, shape.name], [name]))
    return nodes


def _batched(shape: Shape) -> bool:
    return len(shape) > 1 and shape[0] == 1


def real(case: Case, x: Array) -> Array:
    """The float op on another row of `row_of`, by onnx's reference."""
    many, values, at = _activations(case), [], 0
    for given in case.inputs[:many]:
        part = x.reshape(-1)[at : at + given.size].reshape(given.shape)
        values.append(-part if case.op in MOVING and many == 1 else part)
        at += given.size
    names = [i.name for i in case.model.graph.input]
    feeds = dict(zip(names, (*values, *case.inputs[many:]), strict=True))
    return np.asarray(ReferenceEvaluator(case.model).run(None, feeds)[0])


def judged(case: Case) -> Outcome:
    """The case in the integer reference."""
    why = skipped(case)
    if why:
        return Outcome(case.name, case.op, "skipped", why)
    try:
        found = imported(parse(wrapped(case), Path("/nowhere")), "node")
        apart = steps_apart(case, found)
    except EdgeqError as error:
        said = " ".join(str(error).split("; taken are")[0].split())[:160]
        return Outcome(case.name, case.op, "refused", said)
    if apart > STEPS:
        return Outcome(case.name, case.op, "wrong", f"{apart:.2f} steps apart")
    return Outcome(case.name, case.op, "right")


def rows_of(case: Case, found: Imported) -> Array:
    """The case's activations as a row of the graph."""
    x = np.concatenate([v.reshape(-1) for v in case.inputs[: _activations(case)]])
    x = x.reshape(1, *found.input_shape)
    if found.layout == "channels first":
        x = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x.transpose(0, 2, 1)[:, None]
    return np.ascontiguousarray(x, np.float32)


def lowered(case: Case, found: Imported) -> Any:
    """The integer graph, calibrated on the case's input."""
    return quantize(found.graph, rows_of(case, found), "minmax").graph


def steps_apart(case: Case, found: Imported) -> float:
    """The farthest of the integers' answers from the float op on the dequantised input."""
    graph = lowered(case, found)
    codes = quantize_rows(graph, rows_of(case, found))
    quant = graph.tensors[graph.inputs[0]].quant
    assert quant is not None
    x = ((codes.astype(np.float64) - quant.zero_point) * quant.per_tensor).astype(np.float32)
    if found.layout == "channels first":
        x = x.transpose(0, 3, 1, 2) if len(found.input_shape) == 3 else x[:, 0].transpose(0, 2, 1)
    wanted = real(case, np.ascontiguousarray(x))
    out = graph.tensors[graph.outputs[0]].quant
    assert out is not None
    got = run(graph, codes).output
    if found.layout == "channels first" and got.ndim == 4:
        got = got.transpose(0, 3, 1, 2)
    steps = np.clip(wanted.astype(np.float64) / out.per_tensor + out.zero_point, -128, 127)
    return float(np.abs(got.reshape(wanted.shape) - steps).max(initial=0))


def record(outcomes: list[Outcome]) -> dict[str, Any]:
    """What docs/measured keeps: counts, every skip's reason, and what is not right by name."""
    counts = Counter(o.result for o in outcomes)
    of_ours = len(outcomes) - counts["skipped"]
    return {
        "cases": len(outcomes),
        "counted": of_ours,
        "right": counts["right"],
        "share": round(counts["right"] / of_ours, 4),
        "skipped": dict(sorted(Counter(o.why for o in outcomes if o.result == "skipped").items())),
        "wrong": {o.name: o.why for o in outcomes if o.result == "wrong"},
        "refused": {o.name: o.why for o in outcomes if o.result == "refused"},
    }


def main() -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        made = record([judged(case) for case in cases()])
    RECORD.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    print({k: v for k, v in made.items() if k not in ("wrong", "refused")})
    print(Counter(name.split("_")[1] for name in (*made["wrong"], *made["refused"])))


if __name__ == "__main__":
    main()
