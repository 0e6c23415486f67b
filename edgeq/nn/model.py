"""The thing that is saved: a body, what it takes, and the data that travels beside it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from edgeq.arrays import CHANNELS_FIRST, Layout, row_shape
from edgeq.errors import BadInput
from edgeq.nn import calibration as settling
from edgeq.nn.audio import front_ends
from edgeq.nn.check import (
    check_classes,
    checked_body,
    checked_inputs,
    checked_period,
    checked_text,
)
from edgeq.nn.graph_body import GraphBody
from edgeq.nn.layers import QuantLayer
from edgeq.nn.mixture import Mixture
from edgeq.nn.rows import Answer, Floats, as_numpy, joined_rows, parted, together
from edgeq.task import Task, checked_task

Labels = npt.NDArray[np.int64]


class Model(nn.Module):
    """A body (any composition of edgeq.nn layers) with its input shape and data.

    `input_shape` has no batch axis; of a model with several inputs it is a dict, name -> shape, and
    data is a dict of an array (N, *shape) each. `calibration` is float32 (N, *input_shape) or None;
    `evaluation` is (x float32 (N, *input_shape), y) or None: y int64 (N,) are labels, y float32
    (N, *answer) what the model should answer. `task` says how answers are judged (docs/import.md),
    None that the shapes tell; `frame_s` is the time from a frame to the next, of models that hear
    (docs/streams.md), from a sample to the next where the body begins with LogMel.
    `inputs` and `outputs` have the shapes by name, the outputs' as the
    device holds them; the first output is the answer, which classes are of. Raises UnsupportedOp,
    by the layers' paths, for what no export could take; BadInput for data that is empty, constant,
    not finite or of another shape, and for names and labels that do not fit the answer.
    """

    def __init__(
        self,
        body: nn.Module,
        input_shape: Sequence[int] | Mapping[str, Sequence[int]],
        class_names: Sequence[str] | None = None,
        calibration: object = None,
        evaluation: tuple[Any, Any] | None = None,
        name: str = "model",
        task: Task | None = None,
        frame_s: float | None = None,
    ) -> None:
        super().__init__()
        self.task = checked_task(task)
        heard = next(front_ends(body), None)  # whose frames are samples
        if frame_s is None and heard is not None:
            frame_s = 1 / heard.sample_rate
        self.frame_s = checked_period(frame_s)
        self.body = body
        self.inputs = checked_inputs(input_shape)
        self.class_names: tuple[str, ...] | None = None
        if class_names is not None:
            self.class_names = tuple(checked_text("a class name", n) for n in class_names)
        self.name = checked_text("the model's name", name)
        self.outputs = checked_body(body, self.inputs)
        self.calibration: Floats | None = None
        self.evaluation: tuple[Floats, Labels | Floats] | None = None
        if calibration is not None:
            self.calibration = self._inputs("calibration set", calibration)
        if evaluation is not None:
            self.evaluation = self._labelled("evaluation set", *evaluation)
        y = None if self.evaluation is None else self.evaluation[1]
        labels = y.astype(np.int64) if y is not None and y.dtype.kind == "i" else None
        check_classes(self.classes, self.class_names, labels)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of a row of its data: the only input's, or (values,) of several joined."""
        return row_shape(self.inputs)

    @property
    def classes(self) -> int:
        """Values of the answer."""
        return math.prod(next(iter(self.outputs.values())))

    @property
    def layout(self) -> Layout:
        """The order of the axes of its rows."""
        return self.body.layout if isinstance(self.body, GraphBody) else CHANNELS_FIRST

    def _inputs(self, what: str, x: object) -> Floats:
        array = joined_rows(what, x, self.inputs)
        if len(array) == 0:
            raise BadInput(f"the {what} is empty; give at least a few dozen samples")
        if not np.isfinite(array).all():
            raise BadInput(f"the {what} holds NaN or infinite values")
        if what.startswith("calibration") and array.max() == array.min():
            raise BadInput(f"the {what} is constant ({array.flat[0]}): no range can come from it")
        return array

    def _labelled(self, what: str, x: object, y: object) -> tuple[Floats, Labels | Floats]:
        inputs, labels = self._inputs(what, x), as_numpy(y)
        if labels.dtype.kind == "f":
            return inputs, self._targets(what, labels, len(inputs))
        if labels.shape != (len(inputs),) or labels.dtype.kind not in "iu":
            raise BadInput(
                f"the {what} needs one integer label a sample: {len(inputs)} samples, "
                f"labels of shape {labels.shape} and type {labels.dtype}"
            )
        if labels.min() < 0:
            raise BadInput(f"the {what} has the label {labels.min()}; classes count from 0")
        return inputs, labels.astype(np.int64)

    def _targets(self, what: str, y: npt.NDArray[Any], rows: int) -> Floats:
        if self.task == "classification" or y.shape[:1] != (rows,) or y.size != rows * self.classes:
            raise BadInput(
                f"the {what} has {rows} samples and y of shape {y.shape} and type {y.dtype}; give "
                f"one integer label a sample, or the {self.classes} values of each answer"
            )
        if not np.isfinite(y).all():
            raise BadInput(f"the {what} holds NaN or infinite targets")
        return np.ascontiguousarray(y, np.float32)

    def around(self, body: nn.Module, name: str | None = None) -> "Model":
        """Another body with this one's inputs, classes, data and task, of its name or `name`."""
        sets = self.calibration, self.evaluation
        return Model(
            body, self.inputs, self.class_names, *sets, name or self.name, self.task, self.frame_s
        )

    def name_classes(self, names: Sequence[str]) -> None:
        """Gives the outputs names. Raises BadInput for another number of them."""
        named = tuple(checked_text("a class name", n) for n in names)
        check_classes(self.classes, named, None)
        self.class_names = named

    def forward(self, x: Tensor | Mapping[str, Tensor]) -> Answer:
        """Class logits (N, C) from (N, *input_shape), or from a dict of several inputs; of several
        outputs a dict.
        """
        given = parted(x, self.inputs)
        answer: Answer = self.body(given if len(given) > 1 else next(iter(given.values())))
        return answer

    @property
    def mixtures(self) -> list[Mixture]:
        """The mixtures inside the body; empty for a single model."""
        return settling.mixtures(self.body)

    @property
    def stored_wider(self) -> tuple[str, ...]:
        """A line on each weight kind whose packing is wider than the kind itself."""
        layers = [m for m in self.body.modules() if isinstance(m, QuantLayer)]
        kinds = {m.kind: m for m in layers if m.kind != "ternary" and m.stored_bits > m.bits}
        return tuple(
            f"{kind} weights ({sum(m.kind == kind for m in layers)} layers) are stored in "
            f"{m.stored_bits} bits each"
            for kind, m in sorted(kinds.items())
        )

    def calibrate(self, x: object = None) -> int:
        """Settle static int8 ranges and curiosity on `x`, or on the stored calibration set.

        `x` becomes the stored set. Returns how many of its samples curiosity re-routes.
        """
        if x is not None:
            self.calibration = self._inputs("calibration set", x)
        if self.calibration is None:
            raise BadInput("the model stores no calibration set; pass one to calibrate(x)")
        return settling.calibrate(self, torch.from_numpy(self.calibration))

    @torch.no_grad()
    def predict(self, x: object, batch: int = 256) -> tuple[Any, npt.NDArray[np.int64] | None]:
        """(logits (N, C), first expert of the route (N,) or None without experts); of several
        outputs a dict of their arrays.
        """
        self.eval()
        inputs = torch.from_numpy(self._inputs("input", x))
        logits, routes = [], []
        for start in range(0, len(inputs), batch):
            logits.append(self(inputs[start : start + batch]))
            found = settling.routed(self.body)[:1]
            routes += [m.last_routing.experts[:, 0] for m in found if m.last_routing]
        route = torch.cat(routes).numpy() if routes else None
        made = together(logits)
        if isinstance(made, Tensor):
            return made.numpy(), route
        return {name: part.numpy() for name, part in made.items()}, route
