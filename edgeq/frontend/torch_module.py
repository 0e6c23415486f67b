"""A PyTorch module -> an edgeq.nn.Model, through torch.export's graph in the user's own process.

No file is loaded: the module is an object that the user has built. BatchNorm is folded, dropout
dropped, feature maps become channels last without a copy.
"""

import operator
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from edgeq.arrays import CHANNELS_FIRST, CHANNELS_LAST, Layout
from edgeq.errors import BadInput, UnsupportedOp
from edgeq.frontend.findings import Refused
from edgeq.frontend.placed import LINE, MAP, Placed, Placing
from edgeq.frontend.torch_layers import ATEN_LAYERS, affine
from edgeq.frontend.torch_parts import ATEN_PARTS
from edgeq.frontend.torch_values import ATEN_VALUES
from edgeq.ir import Graph
from edgeq.nn.archive import FROM_TORCH
from edgeq.nn.graph_model import graph_model
from edgeq.nn.model import Model

READERS = {**ATEN_LAYERS, **ATEN_VALUES, **ATEN_PARTS}
MOST_OFF = 1e-3  # of the largest answer: another order of float32 sums, never another network


def from_torch(
    module: nn.Module,
    example: Tensor,
    *,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    layout: Layout | None = None,
    class_names: Sequence[str] | None = None,
    calibration: object = None,
    evaluation: tuple[Any, Any] | None = None,
    name: str | None = None,
) -> Model:
    """The model of any torch.nn.Module in evaluation mode.

    `example` (N, *input shape) is an input that it takes. With `mean` and `std` (one number, or one
    a channel) the model takes raw values and the device computes (x - mean) / std itself. `layout`
    "channels first" holds (C, H, W) and (C, L) channels last on the device, "channels last" takes
    axes as they are; by default what reads the input decides. Raises UnsupportedOp that names every
    node without an op, BadInput for what is no module.
    """
    _check(module, example)
    with _evaluating(module):
        program = _exported(module, example[:1])
        reading = _Reading(program, layout or _layout(program))
        graph = reading.read(name or type(module).__name__, _normalisation(mean, std, example))
        model = graph_model(
            graph,
            tuple(example.shape[1:]),
            layout=reading.layout,
            class_names=class_names,
            calibration=calibration,
            evaluation=evaluation,
        )
        _compare(model, module, example, mean, std)
    return model


def _check(module: object, example: object) -> None:
    if isinstance(module, torch.jit.ScriptModule | fx.GraphModule):
        raise BadInput(
            f"a traced module has no layers left; build the module itself:\n{FROM_TORCH}"
        )
    if not isinstance(module, nn.Module):
        what = "a state dict" if isinstance(module, Mapping) else type(module).__name__
        raise BadInput(
            f"from_torch takes a torch.nn.Module, got {what}; build the module:\n{FROM_TORCH}"
        )
    if not isinstance(example, Tensor) or example.dim() < 2 or not len(example):
        raise BadInput("from_torch needs an example, a float tensor of shape (N, *input shape)")


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for each, mode in modes:
            each.training = mode


def _exported(module: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    try:
        return torch.export.export(module, (example,))
    except Exception as error:  # whatever the user's code and the tracer say
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise UnsupportedOp(
            f"torch.export cannot trace {type(module).__name__}: {reason}; control flow that "
            "depends on values must go"
        ) from error


def _layout(program: torch.export.ExportedProgram) -> Layout:
    """Channels first where a convolution, a pool or a norm of channels reads the input first."""
    rows = {"linear", "layer_norm", "matmul", "permute", "transpose"}
    entry = next(n for n in program.graph.nodes if n.name in program.graph_signature.user_inputs)
    readers = list(entry.users)
    while readers and _op_of(readers[0]) not in (*ATEN_LAYERS, *rows):
        readers = list(readers[0].users)
    axes = len(entry.meta["val"].shape)
    plain = bool(readers) and _op_of(readers[0]) in ("linear", "layer_norm", "matmul") and axes > 2
    return CHANNELS_LAST if plain else CHANNELS_FIRST


def _op_of(node: fx.Node) -> str:
    """ATen's name, without the underscore of what works in place."""
    schema = getattr(node.target, "_schema", None)
    name = str(schema.name).split("::")[-1] if schema is not None else str(node.target)
    return name if name.startswith("_") else name.removesuffix("_")


def _normalisation(
    mean: float | Sequence[float] | None, std: float | Sequence[float] | None, example: Tensor
) -> tuple[np.ndarray, np.ndarray] | None:
    """(gain, offset) a channel, or None."""
    if mean is None and std is None:
        return None
    low = np.atleast_1d(np.asarray(0.0 if mean is None else mean, np.float64))
    wide = np.atleast_1d(np.asarray(1.0 if std is None else std, np.float64))
    for what, values in (("mean", low), ("std", wide)):
        if values.shape not in ((1,), (example.shape[1],)) or not np.isfinite(values).all():
            raise BadInput(f"{what} needs one number, or one a channel: {example.shape[1]}")
    if (wide <= 0).any():
        raise BadInput("std must be above 0")
    return 1 / wide, -low / wide


@dataclass
class _Reading:
    """One walk over an exported program."""

    program: torch.export.ExportedProgram
    layout: Layout
    placing: Placing = field(default_factory=Placing)
    values: dict[str, Any] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def read(self, name: str, normalisation: tuple[np.ndarray, np.ndarray] | None) -> Graph:
        """The float graph. Raises UnsupportedOp naming every node that is not taken."""
        outputs: tuple[Any, ...] = ()
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                self.values[node.name] = self._entry(node, normalisation)
            elif node.op == "output":
                outputs = node.args[0]
            else:
                self.values[node.name] = self._node(node)
        if self.refused:
            raise UnsupportedOp(
                f"{name}: {len(self.refused)} nodes are not taken: {'; '.join(self.refused)}"
            )
        return self._graph(name, outputs)

    def _entry(
        self, node: fx.Node, normalisation: tuple[np.ndarray, np.ndarray] | None
    ) -> Placed | Tensor:
        signature = self.program.graph_signature
        if node.name not in signature.user_inputs:
            return _held(self.program, node.name)
        if len(signature.user_inputs) > 1:
            named = ", ".join(map(str, signature.user_inputs))
            raise UnsupportedOp(f"{len(signature.user_inputs)} inputs ({named}); one is supported")
        shape = tuple(int(n) for n in node.meta["val"].shape[1:])
        if not 1 <= len(shape) <= 3:
            raise UnsupportedOp(f"an input of {len(shape)} axes beside the batch; 1 to 3 are taken")
        axes = tuple(range(len(shape)))
        if self.layout == CHANNELS_FIRST and len(shape) > 1:
            axes = MAP if len(shape) == 3 else LINE
        self.placing.used.add("input")
        entry = self.placing.enter("input", shape, axes)
        if normalisation is None:
            return entry
        return affine(self.placing, self.placing.fresh("normalise"), entry, *normalisation)

    def _node(self, node: fx.Node) -> object:
        """Its output: an activation, a constant, or a stand-in where it is refused."""
        arguments = self._arguments(node)
        if node.target is operator.getitem and isinstance(arguments.get(0), list | tuple):
            return arguments[0][arguments[1]]
        if not _activations(arguments):
            return _evaluated(node, self.values)
        name = self.placing.fresh(_name_of(node))
        op = _op_of(node)
        reader = READERS.get(op)
        try:
            if reader is None:
                raise Refused("it is not supported")
            return reader(self.placing, name, arguments)
        except (Refused, ValueError) as error:
            self.refused.append(f"{name} ({op}: {error})")
        return self._stand_in(node, name)

    def _arguments(self, node: fx.Node) -> dict[Any, Any]:
        """By the names of the schema, values in the place of nodes."""
        schema = getattr(node.target, "_schema", None)
        args = fx.node.map_arg(node.args, lambda n: self.values[n.name])
        kwargs = fx.node.map_arg(node.kwargs, lambda n: self.values[n.name])
        if schema is None:
            return dict(enumerate(args)) | dict(kwargs)
        named = {}
        for place, each in enumerate(schema.arguments):
            value = args[place] if place < len(args) else kwargs.get(each.name, each.default_value)
            named[each.name] = value
        return named

    def _stand_in(self, node: fx.Node, name: str) -> object:
        """What a refused node would make, so that reading goes on."""
        made = node.meta.get("val")
        if not isinstance(made, Tensor):
            return [self._placed_alone(f"{name}.{i}", t) for i, t in enumerate(made or ())]
        return self._placed_alone(name, made)

    def _placed_alone(self, name: str, made: Tensor) -> Placed:
        shape = tuple(int(n) for n in made.shape[1:])
        axes = {3: MAP, 2: LINE}.get(len(shape), tuple(range(len(shape))))
        return self.placing.enter(self.placing.fresh(f"{name}.absent"), shape, axes)

    def _graph(self, name: str, outputs: Sequence[fx.Node]) -> Graph:
        if len(outputs) != 1:
            named = ", ".join(str(n) for n in outputs)
            raise UnsupportedOp(f"{len(outputs)} outputs ({named}); one is supported")
        end = self.values[outputs[0].name]
        if not isinstance(end, Placed) or not self.placing.nodes:
            raise UnsupportedOp(f"{name} computes nothing from its input")
        axes = tuple(range(end.rank))
        if self.layout == CHANNELS_FIRST and end.rank in (2, 3):
            axes = MAP if end.rank == 3 else LINE
        try:
            last = self.placing.arranged(end, axes, "output")
        except Refused as error:
            raise UnsupportedOp(f"the output: {error}") from None
        return self.placing.graph(name, "input", (last.name,))


def _activations(value: object) -> list[Placed]:
    """The activations anywhere in arguments."""
    if isinstance(value, Placed):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [p for each in value for p in _activations(each)]
    return []


def _held(program: torch.export.ExportedProgram, name: str) -> Tensor:
    """A parameter, buffer or constant of the program."""
    signature = program.graph_signature
    for names in (signature.inputs_to_parameters, signature.inputs_to_buffers):
        if name in names:
            key = names[name]
            held = program.state_dict.get(key, program.constants.get(key))
            assert isinstance(held, Tensor)
            return held.detach()
    constant = program.constants[signature.inputs_to_lifted_tensor_constants[name]]
    assert isinstance(constant, Tensor)
    return constant.detach()


def _evaluated(node: fx.Node, values: Mapping[str, Any]) -> object:
    """A node that reads constants alone is one."""
    args = fx.node.map_arg(node.args, lambda n: values[n.name])
    kwargs = fx.node.map_arg(node.kwargs, lambda n: values[n.name])
    assert callable(node.target)
    return node.target(*args, **kwargs)


def _name_of(node: fx.Node) -> str:
    """The path of the module that made it; what several share, and functions, with their own."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = str(stack[-1][0]) if stack else ""
    kind = str(stack[-1][1]) if stack else ""
    if path and ".nn.modules." in f".{kind}" and not kind.endswith((".Sequential", ".ModuleList")):
        return path
    return f"{path}.{node.name}" if path else node.name


def _compare(
    model: Model,
    module: nn.Module,
    example: Tensor,
    mean: float | Sequence[float] | None,
    std: float | Sequence[float] | None,
) -> None:
    """Raises UnsupportedOp for a graph that answers otherwise than its module: edgeq's fault."""
    generator = torch.Generator().manual_seed(0)
    x = torch.cat([example.float(), torch.randn(2, *example.shape[1:], generator=generator)])
    scale = _normalisation(mean, std, example)
    given = x
    if scale is not None:
        gain, offset = (
            torch.from_numpy(v).float().reshape(-1, *[1] * (x.dim() - 2)) for v in scale
        )
        given = x * gain + offset
    wanted = torch.cat([module(row[None]) for row in given])
    got = model(x)
    if wanted.shape != got.shape:
        raise UnsupportedOp(f"answers {tuple(got.shape)}, the module {tuple(wanted.shape)}")
    off, most = float((wanted - got).abs().max()), float(wanted.abs().max())
    if not off <= MOST_OFF * max(most, 1e-3):
        raise UnsupportedOp(
            f"the graph answers otherwise than the module, by {off:g} of {most:g}: edgeq is "
            "wrong; please report the module"
        )
