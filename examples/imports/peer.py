"""onnxruntime's own int8 of a network from the same calibration rows: a second opinion."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from torch import Tensor

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}  # of its ranges


class Rows(CalibrationDataReader):
    """The calibration rows, one at a time, by the names of the file's inputs."""

    def __init__(self, names: list[str], x: tuple[Tensor, ...]) -> None:
        self.left: Iterator[dict[str, Any]] = (
            {name: part[i : i + 1].numpy() for name, part in zip(names, x, strict=True)}
            for i in range(len(x[0]))
        )

    def get_next(self) -> dict[str, Any]:
        return next(self.left, {})


def peer_answers(
    file: Path, calibration: tuple[Tensor, ...], rows: tuple[Tensor, ...], method: str = "minmax"
) -> Any:
    """Answers (rows, values) of the float .onnx `file`, weights and activations int8, a scale a
    channel of the weights and one a tensor, ranges by `method` of METHODS.

    Maps are channels last, several answers one after another. The int8 file lies beside `file`.
    """
    names = [given.name for given in onnx.load(file).graph.input]
    made = file.with_suffix(".int8.onnx")
    logging.getLogger().setLevel(logging.ERROR)  # it advises on every file
    with contextlib.redirect_stdout(sys.stderr):
        quantize_static(
            file,
            made,
            Rows(names, calibration),
            quant_format=QuantFormat.QDQ,
            calibrate_method=METHODS[method],
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(made, options, providers=["CPUExecutionProvider"])
    reader = Rows(names, rows)
    answers = []
    while fed := reader.get_next():
        parts = [np.moveaxis(y, 1, -1) if y.ndim == 4 else y for y in session.run(None, fed)]
        answers.append(np.concatenate([part.reshape(-1) for part in parts]))
    return np.stack(answers).astype(np.float64)
