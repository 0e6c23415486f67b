"""The thing that is saved: a body, what it takes, and the data that travels beside it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from edgeq.arrays import CHANNELS_FIRST, Layout
from edgeq.errors import BadInput
from edgeq.nn import calibration as settling
from edgeq.nn.check import check_classes, checked_body, checked_shape, checked_text
from edgeq.nn.graph_body import GraphBody
from edgeq.nn.layers import QuantLayer
from edgeq.nn.mixture import Mixture

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


class Model(nn.Module):
    """A body (any composition of edgeq.nn layers) with its input shape and data.

    `input_shape` has no batch axis. `calibration` is float32 (N, *input_shape) or None;
    `evaluation` is (x float32 (N, *input_shape), y int64 (N,)) or None. Raises UnsupportedOp, by
    the layers' paths, for what no export could take; BadInput for data that is empty, constant,
    not finite or of another shape, and for names and labels that do not fit the answer.
    """

    def __init__(
        self,
        body: nn.Module,
        input_shape: Sequence[int],
        class_names: Sequence[str] | None = None,
        calibration: object = None,
        evaluation: tuple[Any, Any] | None = None,
        name: str = "model",
    ) -> None:
        super().__init__()
        self.body = body
        self.input_shape = checked_shape(input_shape)
        self.class_names: tuple[str, ...] | None = None
        if class_names is not None:
            self.class_names = tuple(checked_text("a class name", n) for n in class_names)
        self.name = checked_text("the model's name", name)
        outputs = int(np.prod(checked_body(body, self.input_shape)))
        self.calibration: Floats | None = None
        self.evaluation: tuple[Floats, Labels] | None = None
        if calibration is not None:
            self.calibration = self._inputs("calibration set", calibration)
        if evaluation is not None:
            self.evaluation = self._labelled("evaluation set", *evaluation)
        check_classes(outputs, self.class_names, self.evaluation and self.evaluation[1])

    @property
    def layout(self) -> Layout:
        """The order of the axes of its rows."""
        return self.body.layout if isinstance(self.body, GraphBody) else CHANNELS_FIRST

    def _inputs(self, what: str, x: object) -> Floats:
        array = np.ascontiguousarray(_numpy(x), dtype=np.float32)
        if array.ndim == 0 or array.shape[1:] != self.input_shape:
            wanted = ", ".join(map(str, ("N", *self.input_shape)))
            raise BadInput(f"the {what} has shape {array.shape}, the model takes ({wanted})")
        if len(array) == 0:
            raise BadInput(f"the {what} is empty; give at least a few dozen samples")
        if not np.isfinite(array).all():
            raise BadInput(f"the {what} holds NaN or infinite values")
        if what.startswith("calibration") and array.max() == array.min():
            raise BadInput(f"the {what} is constant ({array.flat[0]}): no range can come from it")
        return array

    def _labelled(self, what: str, x: object, y: object) -> tuple[Floats, Labels]:
        inputs, labels = self._inputs(what, x), _numpy(y)
        if labels.shape != (len(inputs),) or labels.dtype.kind not in "iu":
            raise BadInput(
                f"the {what} needs one integer label a sample: {len(inputs)} samples, "
                f"labels of shape {labels.shape} and type {labels.dtype}"
            )
        if labels.min() < 0:
            raise BadInput(f"the {what} has the label {labels.min()}; classes count from 0")
        return inputs, labels.astype(np.int64)

    def name_classes(self, names: Sequence[str]) -> None:
        """Gives the outputs names. Raises BadInput for another number of them."""
        named = tuple(checked_text("a class name", n) for n in names)
        outputs = int(np.prod(checked_body(self.body, self.input_shape)))
        check_classes(outputs, named, None)
        self.class_names = named

    def forward(self, x: Tensor) -> Tensor:
        """Class logits (N, C) from (N, *input_shape)."""
        logits: Tensor = self.body(x)
        return logits

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
    def predict(self, x: object, batch: int = 256) -> tuple[Floats, npt.NDArray[np.int64] | None]:
        """(logits (N, C), first expert of the route (N,) or None without experts)."""
        self.eval()
        inputs = torch.from_numpy(self._inputs("input", x))
        logits, routes = [], []
        for start in range(0, len(inputs), batch):
            logits.append(self(inputs[start : start + batch]))
            found = settling.routed(self.body)[:1]
            routes += [m.last_routing.experts[:, 0] for m in found if m.last_routing]
        route = torch.cat(routes).numpy() if routes else None
        return torch.cat(logits).numpy(), route


def _numpy(x: object) -> npt.NDArray[Any]:
    return x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)
