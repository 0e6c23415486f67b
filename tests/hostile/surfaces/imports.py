"""net.tflite and net.onnx: bytes, or fields within sound bytes, that are other ones."""

import contextlib
import random
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edgeq.frontend.onnx_loader import findings_of_onnx, load_onnx
from edgeq.frontend.tflite_loader import findings_of, load_tflite, seeded_rows
from tests import onnx_files, onnx_quantized, tflite_files
from tests.hostile import mutate
from tests.hostile.mutate import chosen
from tests.hostile.oracle import Case, Place, Surface

NUMBERS = (0, 1, -1, 2, 3, 5, 7, 17, 64, 127, 128, 255, 4096, 65535, 2**30, 2**31 - 1, -(2**31))


def _files(_place: Place) -> list[bytes]:
    return list(tflite_files.TAKEN.values())


def _case(rng: random.Random, base: list[bytes], place: Place) -> Case:
    path, data = place.case / "net.tflite", rng.choice(base)
    path.write_bytes(
        chosen(
            rng,
            (
                (2, lambda: mutate.bytes_changed(rng, data)),
                (3, lambda: _with_numbers(rng, data)),
                (5, lambda: _with_fields(rng, data)),
            ),
        )
    )
    deep = rng.random() < 0.1
    return lambda: use_import(path, deep)


def use_import(path: Path, deep: bool) -> str:
    """What ops, export and estimate do with a file before a compiler runs."""
    from edgeq.compiled import compile_graph
    from edgeq.emit.firmware import layer_table
    from edgeq.passes.select_kernels import select_kernels
    from edgeq.reference import quantize_rows, run

    findings_of(path)
    graph = select_kernels(load_tflite(path)[0], frozenset({"dsp"}))
    run(graph, quantize_rows(graph, seeded_rows(graph, 2)))
    layer_table(graph)
    if deep:
        compile_graph(graph, "net", "0" * 64)
    return ""


def _with_numbers(rng: random.Random, data: bytes) -> bytes:
    """Offsets, lengths and vtable entries made extreme, on their own alignment."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2))):
        size = rng.choice((2, 4))
        at = rng.randrange(len(out) // size) * size
        out[at : at + size] = (rng.choice(NUMBERS) & (2 ** (8 * size) - 1)).to_bytes(size, "little")
    return bytes(out)


def _with_fields(rng: random.Random, data: bytes) -> bytes:
    """One to three numbers of the schema's objects changed, then written again as a sound file."""

    def change(model: Any) -> None:
        for _ in range(rng.choice((1, 1, 2, 3))):
            thing, name = rng.choice(_fields(model))
            value = getattr(thing, name)
            if isinstance(value, np.ndarray | list):
                value = np.array(value)
                if value.size:
                    value.reshape(-1)[rng.randrange(value.size)] = rng.choice(NUMBERS)
                if rng.random() < 0.2:
                    value = value[: rng.randrange(len(value) + 1)]
            else:
                value = type(value)(rng.choice(NUMBERS))
            setattr(thing, name, value)

    with contextlib.suppress(Exception):  # what the schema cannot write is no file
        with np.errstate(all="ignore"):
            return tflite_files.changed(data, change)
    return mutate.bytes_changed(rng, data)


def _fields(model: Any) -> list[tuple[Any, str]]:
    """Every number and vector of numbers of the model's objects, with whose it is."""
    (sg,) = model.subgraphs
    things = [sg, *sg.tensors, *sg.operators, *model.operatorCodes, *model.buffers]
    things += [t.quantization for t in sg.tensors if t.quantization is not None]
    things += [o.builtinOptions for o in sg.operators if o.builtinOptions is not None]
    return [
        (thing, name)
        for thing in things
        for name, value in vars(thing).items()
        if isinstance(value, int | float | np.ndarray)
        or (isinstance(value, list) and value and isinstance(value[0], int | np.integer))
    ]


def _onnx_files(_place: Place) -> list[bytes]:
    nets = (onnx_files.net(n)[0] for n in ("gated", "mixer", "attention"))
    coded = (onnx_quantized.brevitas(), onnx_quantized.pt2e())
    return [*onnx_files.NODES.values(), *nets, *coded, *coded]


def _onnx_case(rng: random.Random, base: list[bytes], place: Place) -> Case:
    path, data = place.case / "net.onnx", rng.choice(base)
    path.write_bytes(
        chosen(
            rng,
            (
                (2, lambda: mutate.bytes_changed(rng, data)),
                (5, lambda: _with_messages(rng, data)),
            ),
        )
    )
    deep = rng.random() < 0.05
    return lambda: use_onnx(path, deep)


def use_onnx(path: Path, deep: bool) -> str:
    """What ops, export and estimate do with a file before a compiler runs."""
    from edgeq.compiled import compile_graph
    from edgeq.passes import quantize
    from edgeq.passes.float_forward import run_float

    findings_of_onnx(path)
    graph = load_onnx(path)[0].graph
    shape = graph.tensors[graph.inputs[0]].shape
    rows = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    with np.errstate(all="ignore"):
        run_float(graph, rows)
        if deep:
            compile_graph(quantize(graph, rows, "minmax").graph, "net", "0" * 64)
    return ""


def _with_messages(rng: random.Random, data: bytes) -> bytes:
    """Sizes, attributes, types, names and wires of a sound message changed."""
    model = onnx.load_model_from_string(data)
    graph = model.graph
    for _ in range(rng.choice((1, 1, 2, 3))):
        with contextlib.suppress(ValueError, TypeError, IndexError):  # what no message can hold
            chosen(
                rng,
                (
                    (4, lambda: _attribute_changed(rng, graph)),
                    (3, lambda: _tensor_changed(rng, graph)),
                    (2, lambda: _wire_changed(rng, graph)),
                    (1, lambda: _input_changed(rng, graph)),
                    (1, lambda: _moved_out(rng, graph)),
                ),
            )
    return bytes(model.SerializeToString())


def _attribute_changed(rng: random.Random, graph: onnx.GraphProto) -> None:
    node = rng.choice(graph.node)
    if rng.random() < 0.2:
        node.op_type = rng.choice(graph.node).op_type if rng.random() < 0.5 else "Loop"
        return
    attribute = rng.choice(node.attribute)
    if attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(NUMBERS)
    elif attribute.type == onnx.AttributeProto.INT:
        attribute.i = rng.choice(NUMBERS)
    else:
        attribute.f = rng.choice((0.0, -1.0, 1e38, float("nan"), float("inf")))


def _tensor_changed(rng: random.Random, graph: onnx.GraphProto) -> None:
    tensor = rng.choice(graph.initializer)
    if rng.random() < 0.5:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(NUMBERS)
    elif rng.random() < 0.3:
        tensor.data_type = rng.randrange(30)
    else:
        raw = bytearray(tensor.raw_data)
        at = rng.randrange(len(raw) // 4) * 4
        raw[at : at + 4] = (rng.choice(NUMBERS) & 0xFFFFFFFF).to_bytes(4, "little")
        tensor.raw_data = bytes(raw)


def _wire_changed(rng: random.Random, graph: onnx.GraphProto) -> None:
    node = rng.choice(graph.node)
    names = [n for each in graph.node for n in (*each.input, *each.output)] + ["", "x"]
    side = node.input if rng.random() < 0.7 else node.output
    side[rng.randrange(len(side))] = rng.choice(names)


def _input_changed(rng: random.Random, graph: onnx.GraphProto) -> None:
    kind = graph.input[0].type.tensor_type
    if rng.random() < 0.2:
        kind.elem_type = rng.randrange(30)
    else:
        kind.shape.dim[rng.randrange(len(kind.shape.dim))].dim_value = rng.choice(NUMBERS)


def _moved_out(rng: random.Random, graph: onnx.GraphProto) -> None:
    """Weights that are said to lie in a file outside."""
    tensor = rng.choice(graph.initializer)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = (
        "location",
        rng.choice(("../x", "/etc/passwd", "net.onnx", "", "\x1b[2J")),
    )


SURFACES = (Surface("tflite", _files, _case), Surface("onnx", _onnx_files, _onnx_case))
