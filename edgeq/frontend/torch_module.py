"""A PyTorch module -> an edgeq.nn.Model, through torch.export's graph in the user's own process.

No file is loaded: the module is an object that the user has built. BatchNorm is folded, dropout
dropped, feature maps become channels last without a copy.
"""

import operator
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from edgeq.arrays import CHANNELS_FIRST, CHANNELS_LAST, Layout
from edgeq.errors import BadInput, UnsupportedOp
from edgeq.frontend.findings import Refused
from edgeq.frontend.float_graph import without_dead
from edgeq.frontend.placed import LINE, MAP, Placed, Placing
from edgeq.frontend.torch_batch import Whole, moves_batch, read_whole
from edgeq.frontend.torch_ends import (
    MOST_OFF,
    PLACED_OFF,
    Example,
    Examples,
    answers_of,
    compare,
    examples_of,
)
from edgeq.frontend.torch_layers import ATEN_LAYERS, affine
from edgeq.frontend.torch_norms import ATEN_NORMS
from edgeq.frontend.torch_parts import ATEN_PARTS
from edgeq.frontend.torch_places import ATEN_PLACES
from edgeq.frontend.torch_products import ATEN_PRODUCTS
from edgeq.frontend.torch_recurrent import ATEN_RECURRENT
from edgeq.frontend.torch_values import ATEN_VALUES
from edgeq.ir import Graph
from edgeq.nn.archive import FROM_TORCH
from edgeq.nn.graph_model import graph_model
from edgeq.nn.model import Model
from edgeq.passes.tidy import simplified

READERS = {
    **ATEN_LAYERS,
    **ATEN_NORMS,
    **ATEN_PARTS,
    **ATEN_PLACES,
    **ATEN_PRODUCTS,
    **ATEN_RECURRENT,
    **ATEN_VALUES,
}


def from_torch(
    module: nn.Module,
    example: Example,
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

    `example` (N, *input shape) is an input that it takes; of several a tuple, or a dict by the
    arguments of `forward`, whose names the model's inputs then have. With `mean` and `std` (one
    number, or one a channel) the model takes raw values and the device computes (x - mean) / std
    itself. `layout` "channels first" holds (C, H, W) and (C, L) channels last on the device,
    "channels last" takes axes as they are; by default what reads the input decides. Raises
    UnsupportedOp that names every node without an op, BadInput for what is no module.
    """
    _check(module)
    examples = examples_of(example)
    if len(examples.tensors) > 1 and (mean is not None or std is not None):
        raise BadInput(
            "mean and std go with one input; give the module a layer for each of several"
        )
    with _evaluating(module):
        program = _exported(module, examples.rows(0, 1))
        shown = examples.named(program.graph_signature.user_inputs)
        reading = _Reading(program, layout or _layout(program))
        scale = _normalisation(mean, std, examples.tensors[0])
        names = tuple(answers_of(module, examples.rows(0, 1)))
        graph = reading.read(name or type(module).__name__, scale, tuple(shown), names)
        model = graph_model(
            graph,
            {name: tuple(x.shape[1:]) for name, x in shown.items()},
            layout=reading.layout,
            class_names=class_names,
            calibration=calibration,
            evaluation=evaluation,
        )
        between = sum(node.op == "ResizeLinear" for node in graph.nodes)
        _compare(model, module, examples, program.graph_signature.user_inputs, scale, between)
    return model


def _check(module: object) -> None:
    if isinstance(module, torch.jit.ScriptModule | fx.GraphModule):
        raise BadInput(
            f"a traced module has no layers left; build the module itself:\n{FROM_TORCH}"
        )
    if not isinstance(module, nn.Module):
        what = "a state dict" if isinstance(module, Mapping) else type(module).__name__
        raise BadInput(
            f"from_torch takes a torch.nn.Module, got {what}; build the module:\n{FROM_TORCH}"
        )


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


def _exported(module: nn.Module, example: Examples) -> torch.export.ExportedProgram:
    try:
        program = torch.export.export(module, example.args, example.kwargs)
    except Exception as error:  # whatever the user's code and the tracer say
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise UnsupportedOp(
            f"torch.export cannot trace {type(module).__name__}: {reason}; control flow that "
            "depends on values must go"
        ) from error
    program.graph.eliminate_dead_code()  # as attention's weights that nobody asks for
    return program


def _layout(program: torch.export.ExportedProgram) -> Layout:
    """Channels first where a convolution, a pool or a norm of channels reads an input first."""
    inputs = program.graph_signature.user_inputs
    entries = [n for n in program.graph.nodes if n.name in inputs and len(n.meta["val"].shape) > 2]
    rows = [_reads_rows(entry) for entry in entries]
    return CHANNELS_LAST if rows and all(rows) else CHANNELS_FIRST


def _reads_rows(entry: fx.Node) -> bool:
    """Whether what reads an input first takes rows of features."""
    rows = {"linear", "layer_norm", "rms_norm", "matmul", "embedding", *ATEN_RECURRENT}
    stop = {*ATEN_LAYERS, *rows}
    readers = list(entry.users)
    while readers and not (_op_of(readers[0]) in stop or _turns(readers[0])):
        readers = list(readers[0].users)
    return bool(readers) and _op_of(readers[0]) in rows


def _turns(node: fx.Node) -> bool:
    """Whether it exchanges axes behind the batch; attention moves the batch first."""
    op = _op_of(node)
    return op == "permute" or (op == "transpose" and 0 not in node.args[1:3])


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
    ports: dict[str, str] = field(default_factory=dict)

    def read(
        self,
        name: str,
        normalisation: tuple[np.ndarray, np.ndarray] | None,
        inputs: Sequence[str],
        answers: Sequence[str],
    ) -> Graph:
        """The float graph, its ports called as said. Raises UnsupportedOp naming every node that is
        not taken.
        """
        self.ports = dict(zip(self.program.graph_signature.user_inputs, inputs, strict=True))
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
        return self._graph(name, inputs, dict(zip(answers, outputs, strict=True)))

    def _entry(
        self, node: fx.Node, normalisation: tuple[np.ndarray, np.ndarray] | None
    ) -> Placed | Tensor:
        signature = self.program.graph_signature
        if node.name not in signature.user_inputs:
            return _held(self.program, node.name)
        shape = tuple(int(n) for n in node.meta["val"].shape[1:])
        if not 1 <= len(shape) <= 3:
            raise UnsupportedOp(f"an input of {len(shape)} axes beside the batch; 1 to 3 are taken")
        axes = tuple(range(len(shape)))
        if self.layout == CHANNELS_FIRST and len(shape) > 1:
            axes = MAP if len(shape) == 3 else LINE
        name = self.ports[node.name]
        self.placing.used.add(name)
        entry = self.placing.enter(name, shape, axes)
        if normalisation is None:
            return entry
        return affine(self.placing, self.placing.fresh("normalise"), entry, *normalisation)

    def _node(self, node: fx.Node) -> object:
        """Its output: an activation, a constant, or a stand-in where it is refused."""
        arguments = self._arguments(node)
        if node.target is operator.getitem and isinstance(arguments.get(0), list | tuple):
            return self._one_of(node, arguments[0][arguments[1]])
        if not _activations(arguments):
            return _evaluated(node, self.values)
        name = self.placing.fresh(_name_of(node))
        op = _op_of(node)
        reader = READERS.get(op)
        try:
            if reader is None:
                raise Refused("it is not supported")
            if moves_batch(op, arguments):
                return read_whole(self.placing, reader, op, name, arguments)
            return reader(self.placing, name, arguments)
        except (Refused, ValueError) as error:
            self.refused.append(f"{name} ({op}: {error})")
        return self._stand_in(node, name)

    def _one_of(self, node: fx.Node, made: object) -> object:
        """Of what a node made; None is what no reader makes."""
        if made is not None or not node.users:
            return made
        name = self.placing.fresh(_name_of(node))
        self.refused.append(f"{name} (it reads a last cell, which nothing here takes)")
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

    def _graph(self, name: str, inputs: Sequence[str], outputs: Mapping[str, fx.Node]) -> Graph:
        ends = {n: self.values[o.name] if o is not None else None for n, o in outputs.items()}
        if any(isinstance(end, Whole) for end in ends.values()):
            raise UnsupportedOp("the output: it works along the batch, which does not lead it")
        found = {n: end for n, end in ends.items() if isinstance(end, Placed)}
        if len(found) != len(ends) or not self.placing.nodes:
            raise UnsupportedOp(f"{name} computes nothing from its input")
        try:
            last = [self._ended(port, end) for port, end in found.items()]
        except Refused as error:
            raise UnsupportedOp(f"the output: {error}") from None
        graph = simplified(without_dead(self.placing.graph(name, inputs[0], tuple(last))))
        unread = [n for n in inputs if not graph.consumers(n)]
        if unread:
            raise UnsupportedOp(f"{name} does not read its input {', '.join(unread)}; leave it out")
        if len(inputs) > 1:
            graph = replace(graph, inputs=tuple(inputs), input_names=tuple(inputs))
        return replace(graph, output_names=tuple(outputs)) if len(outputs) > 1 else graph

    def _ended(self, port: str, end: Placed) -> str:
        axes = tuple(range(end.rank))
        if self.layout == CHANNELS_FIRST and end.rank in (2, 3):
            axes = MAP if end.rank == 3 else LINE
        return self.placing.arranged(end, axes, port).name


def _activations(value: object) -> list[Placed | Whole]:
    """The activations anywhere in arguments."""
    if isinstance(value, Placed | Whole):
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
    examples: Examples,
    arguments: Sequence[str],
    scale: tuple[np.ndarray, np.ndarray] | None,
    between: int,
) -> None:
    """On the examples and some rows more, the module's normalised; `between`: how many resize
    between cells.
    """
    generator = torch.Generator().manual_seed(0)

    def more(x: Tensor) -> Tensor:
        if not x.is_floating_point():  # ids: others may be none of its table
            return torch.cat([x, x[:1].flip(-1), x[:1]])
        return torch.cat([x.float(), torch.randn(2, *x.shape[1:], generator=generator)])

    rows = Examples(
        tuple(map(more, examples.args)), {n: more(x) for n, x in examples.kwargs.items()}
    )
    seen = rows.named(arguments)
    if scale is not None:
        (x,) = rows.args or rows.kwargs.values()
        gain, offset = (
            torch.from_numpy(v).float().reshape(-1, *[1] * (x.dim() - 2)) for v in scale
        )
        rows = Examples((x * gain + offset,))
    compare(model, module, rows, seen, MOST_OFF + PLACED_OFF * between)
