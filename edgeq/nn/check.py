"""Whether a model can be exported at all, told when it is built: layers, shapes, kernels, names."""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
from torch import nn

from edgeq.arrays import Shapes
from edgeq.errors import BadInput, EdgeqError, UnsupportedOp
from edgeq.ir.ports import INPUT, output_names, result_tensors, why_no_name
from edgeq.nn.graph import graph_of_body
from edgeq.passes import prepare
from edgeq.passes.select_kernels import kernel_gaps

TEXT_LENGTH = 200
MOST_AXES = 3
LONGEST_FRAME_S = 3600.0


def checked_inputs(
    given: Sequence[int] | Mapping[str, Sequence[int]],
) -> dict[str, tuple[int, ...]]:
    """The shape of each input by name; of one, which is called "input", the shape itself is given.

    Raises BadInput for names that C cannot have, and for shapes as `checked_shape`.
    """
    if not isinstance(given, Mapping):
        return {INPUT: checked_shape(given)}
    for name in given:
        if why := why_no_name(name):
            raise BadInput(f"the input name {str(name)[:40]!r} {why}")
    if not given:
        raise BadInput("input_shape is an empty dict; give each input's name and shape")
    return {name: checked_shape(shape) for name, shape in given.items()}


def checked_shape(input_shape: Sequence[int]) -> tuple[int, ...]:
    """Sizes without the batch axis: (features,), (C, L) or (C, H, W). Raises BadInput."""
    shape = tuple(input_shape)
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in shape)
    if not shape or not whole or min(shape) < 1 or max(shape) > 2**20:
        raise BadInput(f"input_shape must hold positive whole sizes, got {shape}")
    if len(shape) > MOST_AXES:
        raise BadInput(
            f"input_shape has {len(shape)} axes, {shape}; at most three axes are supported, "
            "without the batch: (features,), (C, L) or (C, H, W)"
        )
    return tuple(int(n) for n in shape)


def checked_text(what: str, value: object) -> str:
    """A name as text; BadInput when it is not 1 to 200 characters that a file can hold."""
    text = str(value) if isinstance(value, str | int | np.integer) else ""
    if not 1 <= len(text) <= TEXT_LENGTH:
        shown = repr(value)[:40]
        raise BadInput(f"{what} is {shown}; give a text of 1 to {TEXT_LENGTH} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadInput(f"{what} is {text[:40]!a}, which is no valid Unicode text") from None
    return text


def checked_body(body: nn.Module, inputs: Shapes) -> dict[str, tuple[int, ...]]:
    """The shape of each output as the device holds it, by name; the first is the answer.

    Raises UnsupportedOp, by the layers' paths, for what an export would refuse whatever the
    weights are.
    """
    try:
        graph = prepare(graph_of_body(body, inputs, shapes_only=True))
    except UnsupportedOp:
        raise
    except RecursionError:
        raise UnsupportedOp("a layer contains itself, or layers are nested too deep") from None
    except EdgeqError as error:  # the parts fit no graph together
        raise UnsupportedOp(str(error)) from error
    gaps = kernel_gaps(graph)
    if gaps:
        raise UnsupportedOp("no kernel for: " + "; ".join(gaps))
    names = zip(output_names(graph), result_tensors(graph), strict=True)
    return {name: graph.tensors[tensor].shape for name, tensor in names}


def check_classes(
    outputs: int, class_names: Sequence[str] | None, labels: npt.NDArray[np.int64] | None
) -> None:
    """Raises BadInput when names or labels speak of other classes than the model answers."""
    if class_names is not None and len(class_names) != outputs:
        raise BadInput(f"{len(class_names)} class names for a model that gives {outputs} outputs")
    if labels is None or labels.max(initial=0) < outputs:
        return
    hint = ""
    if outputs == 1:
        hint = "; a single output says no class: give a classifier of two classes two outputs"
    raise BadInput(
        f"the evaluation set has labels up to {labels.max()}, the model knows 0..{outputs - 1}"
        f"{hint}"
    )


def checked_period(frame_s: object) -> float | None:
    """The time from a frame to the next, in seconds, or None. BadInput for none that can be."""
    if frame_s is None:
        return None
    real = isinstance(frame_s, int | float) and not isinstance(frame_s, bool)
    if not real or not 0 < float(cast(float, frame_s)) <= LONGEST_FRAME_S:
        raise BadInput(
            f"frame_s is {str(frame_s)[:40]}; give the seconds from a frame to the next, such as "
            "0.02"
        )
    return float(cast(float, frame_s))
