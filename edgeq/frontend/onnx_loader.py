"""A float .onnx file -> a float Graph, channels last, and how its rows lie."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgeq.arrays import CHANNELS_FIRST, CHANNELS_LAST, Layout
from edgeq.errors import EdgeqError, ModelFile, UnsupportedOp
from edgeq.frontend.findings import Finding, FollowsRefused, Refused
from edgeq.frontend.float_graph import UNIT, Value
from edgeq.frontend.onnx_file import OnnxFile, Operator, folded, read_onnx
from edgeq.frontend.onnx_graph import MAP_AXES, Reading
from edgeq.frontend.onnx_ops import READERS
from edgeq.frontend.onnx_quantized import keep_codes
from edgeq.ir import Graph
from edgeq.ir.ports import INPUT, port_name
from edgeq.ops import OPS
from edgeq.ops.op import Scale, Site
from edgeq.passes.ids import rows_of_ids, settled_types
from edgeq.passes.tidy import tidy
from edgeq.passes.verify import verify
from edgeq.ports import MOST_PORTS

MOST_FOLDED = 1 << 24  # values that folded constants may hold
WINDOWS = frozenset(
    {
        *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool"),
        *("GlobalMaxPool", "Resize", "BatchNormalization", "DepthToSpace", "SpaceToDepth"),
        *("InstanceNormalization", "GroupNormalization"),
    }
)
# What shapes and weights are computed with on the way to a file; folded where nothing else is read.
FOLDABLE = frozenset(
    {
        *("Abs", "Add", "And", "Cast", "CastLike", "Ceil", "Clip", "Concat", "Constant", "Div"),
        *("ConstantOfShape", "Equal", "Exp", "Expand", "Flatten", "Floor", "Gather", "Greater"),
        *("Identity", "Less", "Log", "MatMul", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or"),
        *("Pow", "Range", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd"),
        *("ReduceSum", "Reshape", "Round", "Shape", "Sigmoid", "Size", "Slice", "Split", "Sqrt"),
        *("Squeeze", "Sub", "Tanh", "Tile", "Transpose", "Unsqueeze", "Where"),
    }
)
HARMLESS = frozenset(  # attributes that change nothing of what is taken
    {
        *("seed", "momentum", "stash_type", "storage_order", "num_outputs", "saturate"),
        *("cubic_coeff_a", "exclude_outside", "extrapolation_value", "round_mode"),
        *("spatial", "layout"),
    }
)
SMALL = 4096  # values of which even a product of shapes stays bounded


@dataclass(frozen=True)
class Imported:
    """`input_shape`, of several inputs by name, and `layout` are those of the rows that a user
    hands over. `settled`: whether the file has a scale for every activation, so that no rows are
    needed to find one.
    """

    graph: Graph
    input_shape: tuple[int, ...] | dict[str, tuple[int, ...]]
    layout: Layout
    settled: bool = False


def load_onnx(path: Path, input_shape: Sequence[int] | None = None) -> tuple[Imported, bytes]:
    """(graph, bytes of the file). Raises BadInput, ModelFile and UnsupportedOp, naming the file."""
    try:
        file, data = read_onnx(path, input_shape)
        return imported(file, path.stem), data
    except (ModelFile, UnsupportedOp) as error:
        raise type(error)(f"{path}: {error}") from error


def findings_of_onnx(path: Path, input_shape: Sequence[int] | None = None) -> list[Finding]:
    """Every operator in its order. Raises as `load_onnx` does for the file itself."""
    try:
        file, _ = read_onnx(path, input_shape)
        return _read(file)[1]
    except (ModelFile, UnsupportedOp) as error:
        raise type(error)(f"{path}: {error}") from error


def findings_in(file: OnnxFile) -> list[Finding]:
    """Every operator in its order."""
    return _read(file)[1]


def imported(file: OnnxFile, name: str) -> Imported:
    """The float graph, tidied and verified.

    Raises ModelFile for a file that makes no sense, UnsupportedOp listing every operator that is
    not taken.
    """
    reading, findings, entries = _read(file)
    refused = [f.said for f in findings if f.refused]
    if refused:
        raise UnsupportedOp("; ".join(refused) + f"; taken are {', '.join(sorted(READERS))}")
    layout = _layout(list(entries.values()))
    ends = _ends(reading, file, layout)
    graph = reading.finished(name, [e.name for e in entries.values()], ends)
    if not graph.nodes or all(node.op == "Reshape" for node in graph.nodes):
        raise UnsupportedOp("its output is its own input: it computes nothing")
    try:
        graph = verify(tidy(graph), "float")
    except UnsupportedOp:
        raise
    except EdgeqError as error:
        raise ModelFile(f"it makes no sense: {error}") from error
    numbers = [n for n in file.whole if n in entries and entries[n].name not in rows_of_ids(graph)]
    if numbers:
        raise UnsupportedOp(
            f"input {numbers[0][:80]!r} is whole numbers, not float32; no Gather reads rows by it"
        )
    settled_types(graph)  # raises where they are computed with
    shapes = {entry.name: entry.shape[1:] for entry in entries.values()}
    shape = shapes if len(shapes) > 1 else next(iter(shapes.values()))
    return Imported(graph, shape, layout, _settled(graph))


def _ends(reading: Reading, file: OnnxFile, layout: Layout) -> dict[str, str]:
    """The tensor of each output by the name of its port."""
    for output in file.outputs:
        if output in reading.coded:
            raise UnsupportedOp("its output is codes; end the file with a DequantizeLinear")
        if output not in reading.live:
            raise UnsupportedOp("its output is a constant: it computes nothing")
    reading.prefix = "output"
    try:
        found = {port_name(n): _end(reading, reading.live[n], layout) for n in file.outputs}
    except Refused as error:
        raise UnsupportedOp(f"at its end {error}") from None
    if len(set(found.values())) < len(file.outputs):
        raise UnsupportedOp("two of its outputs are one tensor, or have one name as C has it")
    return found


def _settled(graph: Graph) -> bool:
    known = all(graph.tensors[name].quant is not None for name in graph.inputs)
    for node in graph.nodes:
        scale = OPS[node.op].scale(node.attrs, Site(graph, node).io)
        own = scale in (Scale.OWN, Scale.JOINED)
        known = known and not (own and graph.tensors[node.outputs[0]].quant is None)
    return known


def _read(file: OnnxFile) -> tuple[Reading, list[Finding], dict[str, Value]]:
    if not file.inputs or max(len(file.inputs), len(file.outputs)) > MOST_PORTS:
        raise UnsupportedOp(
            f"it has {len(file.inputs)} inputs and {len(file.outputs)} outputs; 1 to {MOST_PORTS} "
            "of each are taken"
        )
    reading = Reading(file=file, constants=dict(file.constants))
    entries = _entries(file)
    for name, entry in entries.items():
        reading.begin(entry.name, tuple(1 if a == UNIT else entry.shape[a] for a in entry.axes))
        reading.live[name] = entry
    return reading, [_taken(reading, op) for op in file.operators], entries


def _entries(file: OnnxFile) -> dict[str, Value]:
    """Channels go last in front of what slides over maps; other inputs lie as the file says.

    All inputs have one layout: channels first where one of them slides.
    """
    for name, shape in file.inputs.items():
        if shape[0] != 1 or len(shape) < 2:
            raise UnsupportedOp(
                f"its input {name[:80]!r} has shape {list(shape)}; a batch of 1 in front is taken"
            )
    ports = [INPUT] if len(file.inputs) == 1 else [port_name(name) for name in file.inputs]
    if len(set(ports)) < len(ports):
        raise UnsupportedOp(f"its inputs have the names {', '.join(ports)}, of which some are one")
    maps = any(len(s) in MAP_AXES and _slides(file, name) for name, s in file.inputs.items())
    found = {}
    for port, (name, shape) in zip(ports, file.inputs.items(), strict=True):
        axes = MAP_AXES[len(shape)] if maps and len(shape) in MAP_AXES else range(1, len(shape))
        found[name] = Value(port, shape, tuple(axes))
    return found


def _slides(file: OnnxFile, name: str) -> bool:
    """Whether windows read it, as it is or after operators that move nothing."""
    seen = {name}
    for op in file.operators:
        if not seen & set(op.inputs):
            continue
        if op.op in WINDOWS:
            return True
        if op.op in ("Transpose", "Reshape", "Flatten", "MatMul", "Gemm", "LayerNormalization"):
            return False
        seen.update(op.outputs)
    return False


def _layout(entries: Sequence[Value]) -> Layout:
    first = any(entry.axes in MAP_AXES.values() for entry in entries)
    return CHANNELS_FIRST if first else CHANNELS_LAST


def _end(reading: Reading, value: Value, layout: Layout) -> str:
    """A map goes out as it came in, channels last inside; all else in the file's order."""
    if layout == CHANNELS_FIRST and len(value.shape) == 4 and value.shape[0] == 1:
        return reading.ordered(value, (2, 3, 1))
    if len(value.shape) < 2:
        return reading.ordered(value, range(len(value.shape)) or (UNIT,))
    return reading.plain(value)


def _taken(reading: Reading, op: Operator) -> Finding:
    """Reads one operator; after a refused one its outputs are of no known type."""
    found = Finding(op.index, op.op, op.name)
    reading.prefix = _prefix(op)
    try:
        if _folded(reading, op):
            return found
        reader = None if op.domain else READERS.get(op.op)
        if reader is None:
            where = f"domain {op.domain!r} is not taken" if op.domain else "it is not supported"
            raise Refused(where)
        first = len(reading.nodes)
        reader(reading, op)
        keep_codes(reading, op, first)
        unread = sorted(set(op.attributes) - op.read - HARMLESS)
        if unread:
            raise Refused(f"it has attribute {', '.join(unread)[:80]}, which is not taken")
        known = reading.live.keys() | reading.constants.keys() | reading.coded.keys()
        extra = [n for n in op.outputs[1:] if n and n not in known]
        if extra and op.op not in ("Dropout",):
            raise Refused(f"it gives {len(op.outputs)} outputs")
        return found
    except FollowsRefused:
        found = replace(found, checked=False)
    except Refused as error:
        found = replace(found, refused=str(error))
    except (ValueError, IndexError, OverflowError, TypeError, KeyError) as error:
        found = replace(found, refused=f"its attributes make no sense ({error})"[:200])
    _assume(reading, op)
    return found


def _assume(reading: Reading, op: Operator) -> None:
    """What a refused operator would have made, where onnx knows its shape: reading goes on."""
    for output in op.outputs:
        shape = reading.file.shapes.get(output)
        if shape is None or not shape or shape[0] != 1 or len(shape) < 2:
            reading.refused.add(output)
            continue
        axes = {4: (2, 3, 1)}.get(len(shape), tuple(range(1, len(shape))))
        name = reading.begin(f"assumed {output}"[:80], tuple(shape[a] for a in axes))
        reading.live[output] = Value(name, shape, axes)


def _prefix(op: Operator) -> str:
    kept = "".join(c if c.isalnum() or c in "._" else "_" for c in op.name.strip("/"))
    return (kept.replace("__", "_") or op.op.lower())[:60]


def _folded(reading: Reading, op: Operator) -> bool:
    """Whether the operator needs no input of the model: its outputs become constants."""
    if op.op == "Shape" and not op.domain and op.inputs[0] in reading.live:
        shape = reading.live[op.inputs[0]].shape
        start, end = int(op.get("start", 0)), op.get("end")
        kept = shape[start : None if end is None else int(end)]
        reading.constants[op.outputs[0]] = np.array(kept, np.int64)
        return True
    if op.domain or op.op not in FOLDABLE:
        return False
    if not all(n == "" or n in reading.constants for n in op.inputs):
        return False
    inputs = [reading.constants[n] if n else None for n in op.inputs]
    room = MOST_FOLDED - sum(v.size for v in reading.constants.values())
    said = [reading.file.shapes.get(n) for n in op.outputs]
    given = sum(v.size for v in inputs if v is not None)
    _check_room(op, said, room, given)
    for name, value in zip(op.outputs, folded(op, inputs, reading.file.opset), strict=False):
        reading.constants[name] = value
    if op.op == "Clip" and inputs[0] is not None and inputs[0].dtype.kind in "iu":
        reading.narrow.add(op.outputs[0])
    if op.op == "Identity" and op.inputs[0] in reading.weight_scales:
        reading.weight_scales[op.outputs[0]] = reading.weight_scales[op.inputs[0]]
    return True


def _check_room(
    op: Operator, said: Sequence[tuple[int, ...] | None], room: int, given: int
) -> None:
    """Before it is computed: an operator that may enlarge must say by how much."""
    sizes = [math.prod(shape) for shape in said if shape is not None]
    open_ended = op.op in ("Expand", "Tile", "ConstantOfShape", "Range") or given > SMALL
    if sum(sizes) > room or (open_ended and len(sizes) < len(said)):
        raise Refused("its constants are larger than a board could hold, or of no known size")
