"""net.tflite: flatbuffers whose bytes, or whose fields within sound bytes, are other ones."""

import contextlib
import random
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.frontend.tflite_loader import findings_of, load_tflite, seeded_rows
from tests import tflite_files
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


SURFACES = (Surface("tflite", _files, _case),)
