"""How layers are put together, and the layers without weights."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.ir.ports import LABELS, why_no_name
from edgeq.ports import MOST_PORTS

MERGES = ("concat", "add")


class Sequential(nn.Sequential):
    """Layers one after the other; children are named "0", "1", ..."""


class Residual(nn.Module):
    """shortcut(x) + body(x); the shortcut defaults to the identity."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Both branches must give one shape."""
        kept: Tensor = x if self.shortcut is None else self.shortcut(x)
        out: Tensor = kept + self.body(x)
        return out


class Inputs(nn.Module):
    """Where a model of several inputs begins: a branch of layers for each, merged to one tensor.

    `branches`: name -> layers, `nn.Sequential()` for none. "concat" joins the branches' channels or
    features in their order, "add" sums tensors of one shape. Raises BadInput for names that C
    cannot have.
    """

    def __init__(self, branches: Mapping[str, nn.Module], merge: str = "concat") -> None:
        super().__init__()
        self.names = _port_names("Inputs", branches)
        if len(self.names) < 2 or LABELS in self.names:
            raise BadInput(
                f"Inputs: {list(self.names)}; give two or more, none named {LABELS!r}, the key of "
                "the labels in a data set"
            )
        if merge not in MERGES:
            raise BadInput(f"Inputs: merge is {merge!r}; choose from {', '.join(MERGES)}")
        self.merge = merge
        self.branches = nn.ModuleList(branches.values())

    def forward(self, x: Mapping[str, Tensor]) -> Tensor:
        """A tensor (N, ...) each name."""
        pairs = zip(self.names, self.branches, strict=True)
        made: list[Tensor] = [branch(x[name]) for name, branch in pairs]
        if self.merge == "concat":
            return torch.cat(made, dim=1)
        total = made[0]
        for one in made[1:]:
            total = total + one
        return total


class Outputs(nn.Module):
    """Where a model of several outputs ends: a head of layers for each, on the same tensor.

    `heads`: name -> layers. The first is the model's answer, which classes and accuracy are of.
    Raises BadInput for names that C cannot have.
    """

    def __init__(self, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.names = _port_names("Outputs", heads)
        if len(self.names) < 2:
            raise BadInput(f"Outputs: {list(self.names)}; give two or more")
        self.heads = nn.ModuleList(heads.values())

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """A tensor (N, ...) each name."""
        return {name: head(x) for name, head in zip(self.names, self.heads, strict=True)}


def _port_names(where: str, parts: object) -> tuple[str, ...]:
    if not isinstance(parts, Mapping) or len(parts) > MOST_PORTS:
        raise BadInput(f"{where} takes a dict of at most {MOST_PORTS} names, each with its layers")
    for name, module in parts.items():
        why = why_no_name(name)
        if why or not isinstance(module, nn.Module):
            raise BadInput(f"{where}: {name!r} {why or f'has {type(module).__name__}, no layers'}")
    return tuple(parts)


class Exit(nn.Module):
    """An expert of a cascade that answers by `head(block(x))`; the next expert reads `block(x)`."""

    def __init__(self, block: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.head = head
        self.carried: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Logits; `carried` holds what the block gave."""
        self.carried = self.block(x)
        logits: Tensor = self.head(self.carried)
        return logits


class ReLU(nn.Module):
    """max(x, 0)."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.relu(x)


class ReLU6(nn.Module):
    """min(max(x, 0), 6)."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.relu6(x)


class Flatten(nn.Module):
    """(N, ...) -> (N, features), channels outermost as PyTorch lays them out."""

    def forward(self, x: Tensor) -> Tensor:
        """At least (N, 1)."""
        return x.flatten(1)


class Dropout(nn.Module):
    """Random dropout in training, nothing in evaluation."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise BadInput(f"Dropout: p is {p}; allowed are 0 to 1")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.dropout(x, self.p, self.training)


class Delay(nn.Module):
    """One frame of memory: each row gives the row before it. The rows of a batch are a sequence
    that begins after a reset, whose first answer is zeros.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape; rows along the first axis."""
        return torch.cat([torch.zeros_like(x[:1]), x[:-1]])


class Softmax(nn.Module):
    """Probabilities over the last axis."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, classes) -> (N, classes)."""
        return F.softmax(x, dim=-1)
