"""A .tflite file -> its lowered Graph, with the arithmetic of TensorFlow Lite Micro.

Nothing is calibrated or rounded anew: scales, zero points, weights and biases are the file's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgeq.errors import EdgeqError, ModelFile, UnsupportedOp
from edgeq.frontend.findings import ONLY_OWN, Finding, FollowsRefused, Refused
from edgeq.frontend.tflite_file import Operator, Subgraph, TfliteFile, parse, read_bytes
from edgeq.frontend.tflite_graph import BOTH, Growing, quant_of_tensor
from edgeq.frontend.tflite_ops import READERS
from edgeq.frontend.tflite_places import WHOLE
from edgeq.ir import Graph, Node, TensorType
from edgeq.ir.ports import join, limits, port_name
from edgeq.ops import OPS
from edgeq.ops.embedding import IDS
from edgeq.ops.op import Array
from edgeq.passes.ids import rows_of_ids
from edgeq.passes.lower import lower_node
from edgeq.passes.verify import verify

WEIGHTED = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D")
MOST_VALUES = 1 << 26  # multiplications of a convolution's patches: far above any device's
RECURRENT = ("LSTM", "RNN", "UNIDIRECTIONAL_SEQUENCE_RNN")
ADVICE = {
    **dict.fromkeys(RECURRENT, "recurrent layers are not taken"),
    "DIV": "TensorFlow Lite Micro has no int8 kernel, LiteRT's shifts by more bits than there are "
    "around zero; a MUL by a constant is taken, or the float file with --calibration",
}
CONVERT = "convert it anew, as float32 or with TFLITE_BUILTINS_INT8 (docs/import.md)"


def load_tflite(path: Path) -> tuple[Graph, bytes]:
    """(graph, bytes of the file). Raises BadInput, ModelFile and UnsupportedOp, naming the file."""
    data = read_bytes(path)
    try:
        return graph_of_tflite(data, path.stem), data
    except (ModelFile, UnsupportedOp) as error:
        raise type(error)(f"{path}: {error}") from error


def is_float_file(path: Path) -> bool:
    """As `is_float`. Raises BadInput, ModelFile and UnsupportedOp, naming the file."""
    data = read_bytes(path)
    try:
        return is_float(data)
    except (ModelFile, UnsupportedOp) as error:
        raise type(error)(f"{path}: {error}") from error


def graph_of_tflite(data: bytes, name: str) -> Graph:
    """The lowered graph, no kernels chosen.

    Raises ModelFile for a damaged file, UnsupportedOp listing every operator that is not taken.
    """
    graph, findings = _read(data, name)
    refused = [f.said for f in findings if f.refused]
    if refused or graph is None:
        raise UnsupportedOp("; ".join(refused) + f"; taken are {', '.join(sorted(READERS))}")
    return graph


def findings_of(path: Path) -> list[Finding]:
    """Every operator of the file in its order. Raises as `load_tflite` does for the file itself."""
    data = read_bytes(path)
    try:
        if is_float(data):
            from edgeq.frontend.tflite_float import findings_of_float

            return findings_of_float(parse(data))
        return _read(data, path.stem)[1]
    except (ModelFile, UnsupportedOp) as error:
        raise type(error)(f"{path}: {error}") from error


def _read(data: bytes, name: str) -> tuple[Graph | None, list[Finding]]:
    file = parse(data)
    _refuse_kinds(file)
    subgraph = _bare(file.subgraphs[0])
    if not subgraph.inputs or not subgraph.outputs:
        raise UnsupportedOp(
            f"it has {len(subgraph.inputs)} inputs and {len(subgraph.outputs)} outputs; one or "
            "more of each are taken"
        )
    growing = Growing(file, subgraph)
    try:
        for index in subgraph.inputs:
            whole = subgraph.tensors[index].dtype in WHOLE
            growing.begin_ids(index) if whole else growing.begin(index)
        for index in subgraph.outputs:
            if subgraph.tensors[index].dtype not in WHOLE:
                quant_of_tensor(subgraph.tensors[index], BOTH)
    except Refused as error:
        raise UnsupportedOp(f"at its ends {error}") from None
    findings = [_taken(growing, op) for op in subgraph.operators]
    if any(f.refused for f in findings):
        return None, findings
    for index in subgraph.outputs:
        tensor = subgraph.tensors[index]
        if tensor.dtype in WHOLE and index not in growing.names:
            said = "whole numbers are taken from ARG_MAX"
            raise UnsupportedOp(f"its output {tensor.name!r} is {tensor.dtype}; {said}")
    ends = (
        _port_names(file, file.subgraphs[0].inputs),
        _port_names(file, file.subgraphs[0].outputs),
    )
    return _finished(growing, name, *ends), findings


def _port_names(file: TfliteFile, ends: Sequence[int]) -> tuple[str, ...]:
    """What the file's signature calls its inputs or outputs, else the tensors' own names."""
    found: list[str] = []
    for index in ends:
        told = file.signature.get(index) or file.subgraphs[0].tensors[index].name
        name, count = port_name(told), 1
        while name.lower() in {other.lower() for other in found}:
            count += 1
            name = port_name(f"{port_name(told)[:28]}_{count}")
        found.append(name)
    return tuple(found)


def _taken(growing: Growing, op: Operator) -> Finding:
    """Reads one operator; a refused one leaves its outputs typed, so that reading goes on.

    Raises ModelFile for scales that have no integers.
    """
    tensors = growing.subgraph.tensors
    name = tensors[op.outputs[0]].name if op.outputs else "no output"
    found = Finding(op.index, op.op, name)
    reader = None if op.custom else READERS.get(op.op)
    try:
        if growing.is_of_sizes(op):
            return found
        if reader is None:
            said = ADVICE.get(op.op, "it is not supported")
            raise Refused("custom operators are not taken" if op.custom else said)
        reader(growing, op)
        return found
    except FollowsRefused:
        found = replace(found, checked=False)
    except Refused as error:
        found = replace(found, refused=str(error))
    except (ValueError, OverflowError) as error:
        raise ModelFile(f"it makes no sense: {name}: {error}") from error
    for output in op.outputs:
        growing.assume(output)
    return found


def _finished(
    growing: Growing, name: str, inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> Graph:
    ends = growing.subgraph.outputs
    if any(end not in growing.names for end in ends):
        raise ModelFile("nothing computes its output")
    for end in ends:
        if end in growing.pads:
            growing.names[end] = growing.padding(end)
    one = len(inputs) == 1 and len(outputs) == 1  # of which data sets and C have names already
    graph = Graph(
        name,
        tuple(growing.names[index] for index in growing.subgraph.inputs),
        tuple(growing.names[end] for end in ends),
        tuple(growing.nodes),
        growing.tensors,
        growing.values,
        () if one else inputs,
        () if one else outputs,
    )
    if any(_source_of(graph, output) in graph.inputs for output in graph.outputs):
        raise UnsupportedOp("its output is its own input: it computes nothing")
    others = [
        n for n in graph.inputs if graph.tensors[n].quant == IDS and n not in rows_of_ids(graph)
    ]
    if others:
        raise UnsupportedOp("an input of whole numbers is taken where a GATHER reads rows by it")
    _check_work(graph)
    for node in graph.nodes:
        if {role.name for role in OPS[node.op].roles(node.attrs)} - {*node.params}:
            graph = _lowered(graph, node)
    try:
        return verify(graph.pruned(), "lowered")
    except UnsupportedOp:
        raise
    except EdgeqError as error:
        raise ModelFile(f"it makes no sense: {error}") from error


def _lowered(graph: Graph, node: Node) -> Graph:
    """With the node's integers. Raises ModelFile for scales that have none."""
    try:
        return lower_node(graph, node)
    except (ValueError, OverflowError) as error:
        raise ModelFile(f"it makes no sense: {node.name}: {error}") from error


def _source_of(graph: Graph, name: str) -> str:
    """The tensor whose bytes an output is."""
    while (node := graph.producer(name)) is not None and node.op == "Reshape":
        name = node.inputs[0]
    return name


def _check_work(graph: Graph) -> None:
    """What bounds the time of everything that follows."""
    for node in graph.nodes:
        if node.op in ("Conv2D", "DepthwiseConv2D", "WideConv2D"):
            places = np.prod(graph.tensors[node.outputs[0]].shape[:2], dtype=np.int64)
            taps = np.prod(graph.param(node, "weight").shape[-3:], dtype=np.int64)
            if places * taps > MOST_VALUES:
                raise UnsupportedOp(f"{node.name} has more than {MOST_VALUES:,} patch values")


def _refuse_kinds(file: TfliteFile) -> None:
    """UnsupportedOp for hybrid files and for control flow."""
    if len(file.subgraphs) > 1:
        more = [op.op for op in file.subgraphs[0].operators if op.op in ("IF", "WHILE", "CALL")]
        raise UnsupportedOp(
            f"it has {len(file.subgraphs)} subgraphs ({', '.join(more) or 'none called'}): control "
            f"flow is not taken{ONLY_OWN}"
        )
    subgraph = file.subgraphs[0]
    hybrid = [
        f"node {op.index} {op.op} ({subgraph.tensors[op.outputs[0]].name})"
        for op, given, weight in _weighted(subgraph)
        if given == "float32" and weight != "float32"
    ]
    if hybrid:
        raise UnsupportedOp(
            f"it is hybrid, integer weights with float activations: {'; '.join(hybrid)}; {CONVERT}"
        )


def is_float(data: bytes) -> bool:
    """Whether a file computes in float32 throughout. Raises ModelFile for a damaged one."""
    file = parse(data)
    _refuse_kinds(file)
    subgraph = file.subgraphs[0]
    ends = {subgraph.tensors[i].dtype for i in (*subgraph.inputs, *subgraph.outputs)}
    made = {subgraph.tensors[i].dtype for op in subgraph.operators for i in op.outputs}
    quantizes = bool(made & {"int8", "uint8", "int16"})
    floats = any(given == "float32" for _, given, _ in _weighted(subgraph))
    return floats or (ends - {*WHOLE} == {"float32"} and not quantizes)


def _weighted(subgraph: Subgraph) -> Iterator[tuple[Operator, str, str]]:
    """Operators with weights, the types of what they read and of the weights."""
    for op in subgraph.operators:
        if op.op in WEIGHTED and len(op.inputs) > 1 and min(op.inputs[:2]) >= 0:
            given, weight = (subgraph.tensors[i].dtype for i in op.inputs[:2])
            yield op, given, weight


def _bare(subgraph: Subgraph) -> Subgraph:
    """Without QUANTIZE of float or uint8 input and DEQUANTIZE of the output: the host does that."""
    inputs, outputs = list(subgraph.inputs), list(subgraph.outputs)
    dropped: set[int] = set()
    for op in subgraph.operators:
        if len(op.inputs) != 1 or len(op.outputs) != 1:
            continue
        given, made = subgraph.tensors[op.inputs[0]], subgraph.tensors[op.outputs[0]]
        enters = op.inputs[0] in inputs and _readers(subgraph, op.inputs[0]) == 1
        same = given.scale == made.scale and given.zero_point[:1] == (
            made.zero_point[:1] and (made.zero_point[0] + 128,)
        )
        shifted = given.dtype == "uint8" and same
        if op.op == "QUANTIZE" and enters and (given.dtype == "float32" or shifted):
            inputs[inputs.index(op.inputs[0])] = op.outputs[0]
            dropped.add(op.index)
        elif op.op == "DEQUANTIZE" and op.outputs[0] in outputs:
            outputs[outputs.index(op.outputs[0])] = op.inputs[0]
            dropped.add(op.index)
    kept = tuple(op for op in subgraph.operators if op.index not in dropped)
    return replace(subgraph, inputs=tuple(inputs), outputs=tuple(outputs), operators=kept)


def _readers(subgraph: Subgraph, index: int) -> int:
    return sum(op.inputs.count(index) for op in subgraph.operators)


def seeded_rows(graph: Graph, count: int = 64, seed: int = 0) -> Array:
    """Real rows (count, *row shape) over each input's whole range: half noise, half smooth.

    A file brings no data of its own; these are what the proofs and the estimate run on.
    """
    rng = np.random.default_rng(seed)
    ids = rows_of_ids(graph)
    found = {
        n: _seeded_ids(graph.tensors[n], ids[n], count, rng)
        if n in ids
        else _seeded(graph.tensors[n], count, rng)
        for n in graph.inputs
    }
    return join(graph.inputs, found)


def _seeded_ids(kind: TensorType, rows: int, count: int, rng: np.random.Generator) -> Array:
    """Of an Embedding: the file's own interpreters end at one beyond its table."""
    return rng.integers(0, rows, (count, *kind.shape)).astype(np.float32)


def _seeded(kind: TensorType, count: int, rng: np.random.Generator) -> Array:
    low, high = limits(kind)
    half = (high + 1) // 2
    noise = rng.integers(low, high + 1, (count - count // 2, *kind.shape))
    t = np.linspace(0, 1, kind.size)
    waves = np.sin(
        2 * np.pi * rng.uniform(0, 6, (count // 2, 1)) * t + rng.uniform(0, 6, (count // 2, 1))
    )
    level = rng.uniform(-half, half, (count // 2, 1))
    smooth = np.clip(np.round(waves * (half - 1) + level), low, high).reshape(-1, *kind.shape)
    assert kind.quant is not None  # it is lowered
    codes = np.concatenate([noise, smooth])
    return np.asarray((codes - kind.quant.zero_point) * kind.quant.per_tensor, np.float32)
