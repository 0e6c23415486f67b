"""What a module is called with and what it answers: tensors by name, in the program's order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from edgeq.errors import BadInput, UnsupportedOp
from edgeq.ir.ports import INPUT, OUTPUT, port_name
from edgeq.nn.rows import Answer

Example = Tensor | Sequence[Tensor] | Mapping[str, Tensor]
MOST_OFF = 1e-3  # of the largest answer: another order of float32 sums, never another network
STEP, OWN = 1 + 2.0**-23, 10  # a step of float32, and how often what the module makes of one
PLACED_OFF = 2e-3  # of each ResizeLinear: 1/2048 of a cell along two axes, twice the largest apart
WANTED = "a float tensor (N, *input shape), or ids of nn.Embedding, a tuple of them, or a dict"


@dataclass(frozen=True)
class Examples:
    """The arguments of a call, all (N, *shape)."""

    args: tuple[Tensor, ...]
    kwargs: dict[str, Tensor] = field(default_factory=dict)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (*self.args, *self.kwargs.values())

    def rows(self, begin: int, end: int) -> "Examples":
        """Some rows of each."""
        kwargs = {name: x[begin:end] for name, x in self.kwargs.items()}
        return Examples(tuple(x[begin:end] for x in self.args), kwargs)

    def a_step_off(self) -> "Examples":
        """Each value to the next of float32; ids stay."""
        kwargs = {name: _next(x) for name, x in self.kwargs.items()}
        return Examples(tuple(map(_next, self.args)), kwargs)

    def named(self, arguments: Sequence[str]) -> dict[str, Tensor]:
        """By the names of a program's arguments, as ports are called."""
        if len(arguments) == 1:
            return {INPUT: self.tensors[0]}
        left = iter(self.args)
        return {port_name(n): self.kwargs[n] if n in self.kwargs else next(left) for n in arguments}


def _next(x: Tensor) -> Tensor:
    return x * STEP if x.is_floating_point() else x


def examples_of(example: object) -> Examples:
    """Raises BadInput for anything but tensors with as many rows each."""
    if isinstance(example, Mapping):
        found = Examples((), {str(name): x for name, x in example.items()})
    else:
        found = Examples((example,) if isinstance(example, Tensor) else _listed(example))
    for x in found.tensors:
        if not isinstance(x, Tensor) or x.dim() < 2 or not len(x):
            raise BadInput(f"from_torch needs an example, {WANTED}")
    if len({len(x) for x in found.tensors}) != 1:
        counts = ", ".join(str(tuple(x.shape)) for x in found.tensors) or "none"
        raise BadInput(f"the examples need the same number of rows, got {counts}; give {WANTED}")
    return found


def _listed(example: object) -> tuple[Tensor, ...]:
    return tuple(example) if isinstance(example, list | tuple) else ()


def answers_of(module: nn.Module, given: Examples) -> dict[str, Tensor]:
    """The module's tensors by name: a dict's keys, output_0 and so on; "output" of only one."""
    leaves, _ = pytree.tree_flatten_with_path(module(*given.args, **given.kwargs))
    if not leaves or not all(isinstance(leaf, Tensor) for _, leaf in leaves):
        raise UnsupportedOp(f"{type(module).__name__} answers with other things than tensors")
    if len(leaves) == 1:
        return {OUTPUT: leaves[0][1]}
    return {_name(path): leaf for path, leaf in leaves}


def _name(path: Sequence[object]) -> str:
    keys = [str(getattr(key, "key", getattr(key, "idx", key))) for key in path]
    text = "_".join(keys)
    return port_name(f"output_{text}" if text[:1].isdigit() else text)


def compare(
    model: nn.Module,
    module: nn.Module,
    given: Examples,
    seen: Mapping[str, Answer],
    most_off: float = MOST_OFF,
) -> None:
    """Raises UnsupportedOp for a graph that answers otherwise than its module: edgeq's fault.

    `given`: rows for the module, `seen`: the same rows as the model takes them. A module that
    enlarges the rounding of float32 itself, as deep ones with random weights do, may be as far off.
    """
    rows, shifted = (
        [answers_of(module, each.rows(i, i + 1)) for i in range(len(given.tensors[0]))]
        for each in (given, given.a_step_off())
    )
    got: Answer = model(seen if len(seen) > 1 else next(iter(seen.values())))
    answered = {OUTPUT: got} if isinstance(got, Tensor) else got
    for name, made in answered.items():
        wanted = torch.cat([row[name] for row in rows])
        of = f" of {name}" if len(answered) > 1 else ""
        if wanted.shape != made.shape:
            raise UnsupportedOp(
                f"answers {tuple(made.shape)}{of}, the module {tuple(wanted.shape)}"
            )
        off, most = float((wanted - made).abs().max()), float(wanted.abs().max())
        own = float((wanted - torch.cat([row[name] for row in shifted])).abs().max())
        if not off <= most_off * max(most, 1e-3) + OWN * own:
            raise UnsupportedOp(
                f"the graph answers otherwise than the module{of}, by {off:g} of {most:g}: edgeq "
                "is wrong; please report the module"
            )
