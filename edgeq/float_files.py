"""The edgeq.nn.Model of a float file: ONNX, TensorFlow Lite, Keras."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeq.arrays import CHANNELS_LAST, Array
from edgeq.errors import BadInput
from edgeq.files import scratch_folder
from edgeq.ir.ports import INPUT, split

if TYPE_CHECKING:
    from edgeq.frontend.onnx_loader import Imported
    from edgeq.nn import Model

INTEGERS = "holds integers already, which are taken as they are; give a float model"


def model_in(found: "Imported") -> "Model":
    """The model of a float file that was read."""
    from edgeq.nn import graph_model

    rows = _any_rows(found) if found.settled else None
    return graph_model(found.graph, found.input_shape, layout=found.layout, calibration=rows)


def _any_rows(found: "Imported") -> dict[str, Array] | Array:
    """Seeded rows over each input's range, in the user's layout: a quantised file's scales need no
    data, proofs and estimates need some.
    """
    from edgeq.frontend.tflite_loader import seeded_rows

    graph = found.graph
    coded = {n: replace(graph.tensors[n], dtype="int8") for n in graph.inputs}
    rows = split(graph, seeded_rows(graph.with_tensors(coded)).astype(np.float32))
    shapes = found.input_shape
    named = shapes if isinstance(shapes, dict) else {INPUT: shapes}
    placed = {}
    for name, part in zip(named, rows.values(), strict=True):
        if found.layout != CHANNELS_LAST and part.ndim > 2:
            part = np.moveaxis(part, -1, 1)
        placed[name] = np.ascontiguousarray(part.reshape(len(part), *named[name]))
    return placed if len(placed) > 1 else next(iter(placed.values()))


def from_onnx(path: str | Path, input_shape: Sequence[int] | None = None) -> "Model":
    """The edgeq.nn.Model of a float .onnx file, to quantise, train, save and export.

    `input_shape`: without the batch, where the file leaves sizes open. Rows are as the file's, in
    its own order of axes. Raises BadInput, ModelFile for a damaged file, UnsupportedOp that names
    every node which is not taken.
    """
    from edgeq.frontend.onnx_loader import load_onnx

    return model_in(load_onnx(Path(path), input_shape)[0])


def from_tflite(path: str | Path) -> "Model":
    """The edgeq.nn.Model of a float .tflite file, to quantise, train, save and export.

    Rows are as the file's, channels last. Raises BadInput for a file of integers, which exports as
    it is, ModelFile for a damaged file, UnsupportedOp that names every node which is not taken.
    """
    from edgeq.frontend.tflite_float import load_float_tflite
    from edgeq.frontend.tflite_loader import is_float_file

    if not is_float_file(Path(path)):
        raise BadInput(f"{path} {INTEGERS}")
    return model_in(load_float_tflite(Path(path))[0])


def from_keras(model: object) -> "Model":
    """The edgeq.nn.Model of a Keras model, or of the path of a .keras, .h5 or SavedModel file.

    TensorFlow's own converter makes a float .tflite of it, in this process (extra "tensorflow");
    files are loaded by Keras in its safe mode. Raises BadInput without TensorFlow, UnsupportedOp
    for what the converter or edgeq does not take.
    """
    from edgeq.frontend.keras_model import tflite_of

    with scratch_folder() as folder:
        file = folder / "keras.tflite"
        file.write_bytes(tflite_of(model))
        return from_tflite(file)
