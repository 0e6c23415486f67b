"""edgeq.from_torch: modules of several inputs and outputs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import edgeq
from edgeq.errors import BadInput, UnsupportedOp


class Two(nn.Module):
    """A picture's flattened map beside features, to two answers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.side = nn.Conv2d(2, 4, 3, padding=1), nn.Linear(6, 8)
        self.body = nn.Linear(4 * 4 * 3 + 8, 12)
        self.classes, self.angle = nn.Linear(12, 3), nn.Linear(12, 2)

    def hidden(self, left: Tensor, image: Tensor) -> Tensor:
        seen = torch.relu(self.conv(image)).flatten(1)
        return torch.relu(self.body(torch.cat([torch.relu(self.side(left)), seen], 1)))

    def forward(self, left: Tensor, image: Tensor) -> Any:
        h = self.hidden(left, image)
        return {"classes": self.classes(h), "angle": self.angle(h)}


class Pair(Two):
    """Two answers without a name."""

    def forward(self, left: Tensor, image: Tensor) -> Any:
        h = self.hidden(left, image)
        return self.classes(h), self.angle(h)


def rows(count: int = 60) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {"left": torch.randn(count, 6), "image": torch.randn(count, 2, 4, 3)}


@pytest.mark.parametrize("by_name", [False, True])
def test_inputs_have_the_arguments_names(by_name: bool) -> None:
    x = rows()
    example = dict(reversed(x.items())) if by_name else tuple(x.values())
    model = edgeq.from_torch(Two(), example)
    assert model.inputs == {"left": (6,), "image": (2, 4, 3)}
    assert model.outputs == {"classes": (3,), "angle": (2,)}
    wanted, got = Two()(**x), model.predict(x)[0]
    for name in ("classes", "angle"):
        np.testing.assert_allclose(got[name], wanted[name].detach().numpy(), atol=1e-5)


def test_answers_without_a_name_are_counted() -> None:
    model = edgeq.from_torch(Pair(), tuple(rows(2).values()))
    assert list(model.outputs) == ["output_0", "output_1"]


def test_it_is_trained_quantised_and_exported(tmp_path: Path) -> None:
    x = rows(200)
    y = (x["left"][:, 0] > 0).long()
    model = edgeq.from_torch(Two(), tuple(x.values()), calibration=x, evaluation=(x, y))
    made = edgeq.quantize(model, weights="int8")
    edgeq.nn.fit(made, (x, {"classes": y, "angle": y}), epochs=2, lr=1e-3, progress=False)
    edgeq.save(made, tmp_path / "two.pt")
    report = edgeq.export(tmp_path / "two.pt", "cortex-m4", tmp_path / "out")
    assert [check["passed"] for check in report["checks"]] == [True] * 4
    assert [each["name"] for each in report["inputs"]] == ["left", "image"]


class Unread(nn.Module):
    def forward(self, left: Tensor, right: Tensor) -> Tensor:  # noqa: ARG002
        return torch.relu(left)


class NoTensor(nn.Module):
    def forward(self, left: Tensor, right: Tensor) -> Any:
        return {"sum": left + right, "count": 3}


@pytest.mark.parametrize(
    ("module", "example", "kind", "said"),
    [
        (Unread(), (torch.ones(1, 3), torch.ones(1, 3)), UnsupportedOp, "its input right"),
        (NoTensor(), (torch.ones(1, 3), torch.ones(1, 3)), UnsupportedOp, "than tensors"),
        (Two(), (torch.ones(2, 6), torch.ones(1, 2, 4, 3)), BadInput, "same number of rows"),
        (Two(), (torch.ones(2, 6), 3), BadInput, "needs an example"),
        (Two(), (), BadInput, "same number of rows, got none"),
        (Two(), "x", BadInput, "same number of rows, got none"),
        (Two(), {"left": torch.ones(2, 6), "up": torch.ones(2, 6)}, UnsupportedOp, "cannot trace"),
    ],
)
def test_what_cannot_be_called_is_refused(
    module: nn.Module, example: Any, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        edgeq.from_torch(module, example)


def test_one_normalisation_is_of_one_input() -> None:
    with pytest.raises(BadInput, match="mean and std go with one input"):
        edgeq.from_torch(Two(), tuple(rows(2).values()), mean=0.5)
