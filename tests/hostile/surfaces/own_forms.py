"""model.tflite and model.onnx of an export with experts: bytes, and the note beside their If."""

import base64
import copy
import json
import random
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edgeq.emit.forms import emit_forms
from edgeq.frontend.own_form import own_form
from edgeq.ops.graph_note import NOTE
from tests import tflite_files
from tests.factory import cascade_graph, smallest_cascade, smallest_mixture
from tests.hostile import mutate
from tests.hostile.mutate import chosen
from tests.hostile.oracle import Case, Place, Surface


def _files(_place: Place) -> list[bytes]:
    heads = cascade_graph(np.random.default_rng(3), signal="ensemble", features=5, hidden=4)
    made = [emit_forms(g, "m", "0" * 64) for g in (smallest_mixture(), smallest_cascade(), heads)]
    return [data for forms in made for data in (forms.onnx, forms.tflite or b"")]


def _case(rng: random.Random, base: list[bytes], place: Place) -> Case:
    data = rng.choice(base)
    path = place.case / ("net.tflite" if data[4:8] == b"TFL3" else "net.onnx")
    path.write_bytes(
        chosen(
            rng,
            (
                (2, lambda: mutate.bytes_changed(rng, data)),
                (2, lambda: _with_note(data, lambda note: mutate.bytes_changed(rng, note))),
                (6, lambda: _with_note(data, lambda note: _other_tree(rng, note))),
            ),
        )
    )
    deep = rng.random() < 0.08
    return lambda: use_own(path, deep)


def use_own(path: Path, deep: bool) -> str:
    """What ops and export do with a file before a compiler runs."""
    found = own_form(path)
    if found is not None and deep:
        from edgeq.imported import own_source

        own_source(path)
    return ""


def _with_note(data: bytes, change: Any) -> bytes:
    """The file with another note, all else sound."""
    if data[4:8] != b"TFL3":
        model = onnx.load_model_from_string(data)
        (entry,) = (each for each in model.metadata_props if each.key == NOTE)
        entry.value = base64.b64encode(change(base64.b64decode(entry.value))).decode()
        return bytes(model.SerializeToString())

    def changed(model: Any) -> None:
        (entry,) = (each for each in model.metadata if each.name.decode() == NOTE)
        buffer = model.buffers[entry.buffer]
        buffer.data = np.frombuffer(change(bytes(buffer.data)), np.uint8)

    return tflite_files.changed(data, changed)


def _other_tree(rng: random.Random, note: bytes) -> bytes:
    """One to three values of the header changed, and sometimes an array's bytes."""
    data = zlib.decompress(note)
    size = int.from_bytes(data[:4], "little")
    tree, blob = json.loads(data[4 : 4 + size]), data[4 + size :]
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        holder, key = rng.choice(mutate.places(tree, []))
        kind = rng.randrange(4)
        if kind == 0:
            holder[key] = mutate.odd_value(rng)
        elif isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
            holder[key] = rng.choice((-1, 0, 1, 2, 3, 5, 8, 127, 1e-9, 0.5, 2**31))
        else:
            other, place = rng.choice(mutate.places(tree, []))
            holder[key] = copy.deepcopy(other[place])  # which may hold the holder
    if rng.random() < 0.3 and blob:
        blob = mutate.bytes_changed(rng, blob)
    text = json.dumps(tree).encode()
    return zlib.compress(len(text).to_bytes(4, "little") + text + blob)


SURFACES = (Surface("own_form", _files, _case),)
