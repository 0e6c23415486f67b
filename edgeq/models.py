"""What makes, loads and saves a model, as functions of the Python API.

Each stands in `nn`, the frontend or `sources`, above PyTorch or numpy, which take time to import;
these import it when they are called. A test holds signatures and docstrings to be the same.
"""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgeq.extras import needs

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from edgeq.arrays import Layout
    from edgeq.nn import CuriousQmoe, Model


@needs("export", "from_torch")
def from_torch(
    module: "nn.Module",
    example: "Tensor | Sequence[Tensor] | Mapping[str, Tensor]",
    *,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    layout: "Layout | None" = None,
    class_names: Sequence[str] | None = None,
    calibration: object = None,
    evaluation: tuple[Any, Any] | None = None,
    name: str | None = None,
) -> "Model":
    """The model of any torch.nn.Module in evaluation mode.

    `example` (N, *input shape) is an input that it takes; of several a tuple, or a dict by the
    arguments of `forward`, whose names the model's inputs then have. With `mean` and `std` (one
    number, or one a channel) the model takes raw values and the device computes (x - mean) / std
    itself. `layout` "channels first" holds (C, H, W) and (C, L) channels last on the device,
    "channels last" takes axes as they are; by default what reads the input decides. Raises
    UnsupportedOp that names every node without an op, BadInput for what is no module.
    """
    from edgeq.frontend.torch_module import from_torch as run

    return run(
        module,
        example,
        mean=mean,
        std=std,
        layout=layout,
        class_names=class_names,
        calibration=calibration,
        evaluation=evaluation,
        name=name,
    )


@needs("export", "from_onnx")
def from_onnx(path: "str | Path", input_shape: Sequence[int] | None = None) -> "Model":
    """The edgeq.nn.Model of a float .onnx file, to quantise, train, save and export.

    `input_shape`: without the batch, where the file leaves sizes open. Rows are as the file's, in
    its own order of axes. Raises BadInput, ModelFile for a damaged file, UnsupportedOp that names
    every node which is not taken.
    """
    from edgeq.float_files import from_onnx as run

    return run(path, input_shape)


@needs("export", "from_tflite")
def from_tflite(path: "str | Path") -> "Model":
    """The edgeq.nn.Model of a float .tflite file, to quantise, train, save and export.

    Rows are as the file's, channels last. Raises BadInput for a file of integers, which exports as
    it is, ModelFile for a damaged file, UnsupportedOp that names every node which is not taken.
    """
    from edgeq.float_files import from_tflite as run

    return run(path)


@needs("export", "from_keras")
def from_keras(model: object) -> "Model":
    """The edgeq.nn.Model of a Keras model, or of the path of a .keras, .h5 or SavedModel file.

    TensorFlow's own converter makes a float .tflite of it, in this process (extra "tensorflow");
    files are loaded by Keras in its safe mode. Raises BadInput without TensorFlow, UnsupportedOp
    for what the converter or edgeq does not take.
    """
    from edgeq.float_files import from_keras as run

    return run(model)


@needs("export", "load")
def load(path: str | os.PathLike[str]) -> "Model":
    """The saved model, in evaluation mode.

    Raises BadInput when there is no file, ModelFile for everything that is not a sound edgeq-model
    file; nothing in it runs.
    """
    from edgeq.nn import load as run

    return run(path)


@needs("export", "save")
def save(model: "Model", path: str | os.PathLike[str]) -> None:
    """Write `model` with its calibration and evaluation sets; the file appears whole or not.

    It is read back first, and its answers compared with the model's. A layer that stands in
    several places, or shares a weight, is saved once for each of them, and is that many layers
    when it is loaded. Tensors of another type are saved as float32.

    Raises UnsupportedOp for layers edgeq does not know, BadInput for weights that are not finite,
    for a model that its file would not be, or for a file that cannot be written.
    """
    from edgeq.nn import save as run

    run(model, path)


@needs("export", "quantize")
def quantize(
    model: "Model",
    x: object = None,
    weights: str | int = "int8",
    keep: Mapping[str, str | int] | None = None,
    *,
    ptq: str = "fast",
    progress: bool = True,
) -> "Model":
    """A copy of a trained float model whose weights are of kind `weights`, without training.

    `x` (N, *input_shape): real inputs, which become the stored calibration set; by default that of
    the model. `keep` gives other kinds to some layers, by the name of a layer or of the module that
    holds it. `ptq` "fast": the steps with the least squared error a channel, then biases that give
    each channel its float mean back. "best": channels between layers are equalised where that
    helps, and every weight's rounding is learned, a layer at a time (rounding.py), with a bar and
    the time that is left on stderr if `progress`. The result can be trained, saved and exported.
    Raises BadInput for unknown kinds, layers and methods, and without data; UnsupportedOp for a
    mixture or cascade.
    """
    from edgeq.nn import quantize as run

    return run(model, x, weights, keep, ptq=ptq, progress=progress)


@needs("export", "mixture_of")
def mixture_of(
    model: "Model",
    widths: Sequence[str | int] = ("ternary", "int8"),
    *,
    signal: str = "gap",
    escalate: float | Sequence[float] = 0.3,
) -> "Model":
    """A cascade of one float network in several weight kinds, cheapest first.

    Each expert is `with_kind(model, width)`. They agree more than experts of different sizes do:
    `narrowed` and `distill` make cheaper ones. The calibration set settles the thresholds; train
    narrow kinds, then `calibrate` again. Raises BadInput for fewer than two widths, for widths
    that are not from narrow to wide, and for a model of several experts.
    """
    from edgeq.nn import mixture_of as run

    return run(model, widths, signal=signal, escalate=escalate)


@needs("export", "from_curious_qmoe")
def from_curious_qmoe(
    path: str | os.PathLike[str], sidecar: str | os.PathLike[str]
) -> "CuriousQmoe":
    """A state dict that the authors' code saved, with a sidecar for what is not in it.

    The sidecar is JSON: widths (one an expert), alpha, passes, dropout, scaler ({mean, scale} or
    null), class_names. Nothing in the checkpoint is executed. Raises BadInput without a file,
    ModelFile for a checkpoint or sidecar that is damaged, incomplete or of another layout.
    """
    from edgeq.nn import from_curious_qmoe as run

    return run(path, sidecar)
