"""A float graph without its numbers, as plain JSON: what the model file keeps of an imported model.

It comes from a file that nobody vouches for: `plan_of` types every field, bounds every size and
computes every shape before a module is made of it.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgeq.arrays import CHANNELS_FIRST, CHANNELS_LAST, Layout, Shapes, row_shape
from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ir.ports import INPUT, output_names
from edgeq.nn.weight_kinds import KINDS
from edgeq.ops import OPS
from edgeq.ops.graph_builder import LARGEST_TENSOR
from edgeq.ops.routed import ROUTED
from edgeq.ops.typed import typed
from edgeq.passes.stored_graph import MOST_NODES, check_attributes
from edgeq.ports import MOST_PORTS

DTYPES = ("float32", "int8", "int16", "int32", "int64")
MOST_AXES, MOST_CONSTANTS, NAME_LENGTH = 8, 64, 200
LAYOUTS = (CHANNELS_FIRST, CHANNELS_LAST)


@dataclass(frozen=True)
class Step:
    """One op. `constants`: role -> (shape, dtype). `kind`: of its weights, "" where it has none."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Any
    constants: Mapping[str, tuple[tuple[int, ...], str]]
    kind: str = ""


@dataclass(frozen=True)
class Plan:
    """`inputs`: name -> shape. `layout` and `input_shape`: of the rows that a user hands over.

    `quants`: the activations whose quantisation a file has settled. `ports`: of several inputs, or
    one with a name of its own, the name of each and its shape in the user's layout, in the order of
    `inputs`; else empty. `output_names`: of several outputs.
    """

    layout: Layout
    input_shape: tuple[int, ...]
    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    steps: tuple[Step, ...]
    quants: Mapping[str, Quant] = field(default_factory=dict)
    ports: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    output_names: tuple[str, ...] = ()

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each input in the user's layout, by its port's name."""
        return dict(self.ports) or {INPUT: self.input_shape}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every activation. ValueError for a plan that makes no sense."""
        found = dict(self.inputs)
        for step in self.steps:
            _add_shape(found, step)
        missing = [name for name in (*self.outputs, *self.quants) if name not in found]
        if missing or not self.outputs:
            raise ValueError(f"nothing computes {_names(missing) or 'an output'}")
        return found

    def node(self, step: Step) -> Node:
        """The step in the graph; its constants are named after it."""
        params = {role: f"{step.name}.{role}" for role in step.constants}
        return Node(step.name, step.op, step.inputs, step.outputs, step.attrs, params)

    def description(self) -> dict[str, Any]:
        """Plain JSON, which `plan_of` reads."""
        data = dataclasses.asdict(self)
        data["steps"] = [_described(step) for step in self.steps]
        for key in [key for key in _LATER if not data[key]]:
            del data[key]  # as files were before there were several
        plain: dict[str, Any] = json.loads(json.dumps(data))
        return plain


def device_shape(shape: tuple[int, ...], layout: Layout = CHANNELS_FIRST) -> tuple[int, ...]:
    """Of a user's rows as the device holds them: (C, H, W) -> (H, W, C); (C, L) -> (1, L, C)."""
    if layout == CHANNELS_LAST:
        return shape
    if len(shape) == 3:
        return (shape[1], shape[2], shape[0])
    if len(shape) == 2:
        return (1, shape[1], shape[0])
    if len(shape) != 1:
        raise UnsupportedOp(f"inputs of shape {shape}: at most three axes are supported")
    return shape


def _described(step: Step) -> dict[str, Any]:
    attrs = {f.name: getattr(step.attrs, f.name) for f in dataclasses.fields(step.attrs)}
    return {**{f.name: getattr(step, f.name) for f in dataclasses.fields(step)}, "attrs": attrs}


def plan_of_graph(graph: Graph, layout: Layout, inputs: Shapes) -> Plan:
    """The plan of a float graph; weights that carry codes keep their kind. `inputs`: the shapes in
    `layout`, by the names of the graph's inputs.
    """
    steps = []
    for node in graph.nodes:
        types = {role: graph.tensors[name] for role, name in node.params.items()}
        constants = {role: (t.shape, _stored_dtype(t)) for role, t in types.items()}
        steps.append(
            Step(
                node.name,
                node.op,
                node.inputs,
                node.outputs,
                node.attrs,
                constants,
                _kind(node, types),
            )
        )
    settled = {name for node in graph.nodes for name in (*node.inputs, *node.outputs)}
    quants = {n: q for n in sorted(settled) if (q := graph.tensors[n].quant) is not None}
    held = {name: graph.tensors[name].shape for name in graph.inputs}
    ports = {} if tuple(inputs) == (INPUT,) else dict(inputs)
    names = output_names(graph) if len(graph.outputs) > 1 else ()
    row = row_shape(inputs)
    return Plan(layout, row, held, graph.outputs, tuple(steps), quants, ports, names)


def _stored_dtype(kind: TensorType) -> str:
    """Codes are kept as the real numbers that they stand for."""
    return "float32" if kind.quant is not None else kind.dtype


def _kind(node: Node, types: Mapping[str, TensorType]) -> str:
    if OPS[node.op].weight_axis is None:
        return ""
    if types["weight"].quant is None:
        return "ptq"
    token = node.attrs.weight_format
    fitting = [k for k in KINDS.values() if k.token == token and k.name != "ptq"]
    return max(fitting, key=lambda k: k.top).name  # narrower kinds may travel in it


@dataclass(frozen=True)
class _Stored:
    """A plan as JSON."""

    layout: str
    input_shape: tuple[int, ...]
    inputs: dict  # type: ignore[type-arg]  # name -> shape
    outputs: tuple[str, ...]
    steps: tuple[Any, ...]
    quants: dict  # type: ignore[type-arg]  # name -> Quant
    ports: dict  # type: ignore[type-arg]  # name -> shape
    output_names: tuple[str, ...]


_LATER: dict[str, Any] = {"ports": {}, "output_names": []}  # what older files have not


@dataclass(frozen=True)
class _StoredStep:
    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Any
    constants: dict  # type: ignore[type-arg]  # role -> (shape, dtype)
    kind: str


def plan_of(data: object) -> Plan:
    """The plan in plain JSON. Raises ValueError for anything that is none."""
    try:
        known = {**_LATER, **data} if isinstance(data, dict) else data
        stored = typed(_Stored, known, "graph")
        if stored.layout not in LAYOUTS or len(stored.steps) > MOST_NODES:
            raise ValueError(f"a graph of layout {stored.layout[:20]!r}, {len(stored.steps)} nodes")
        inputs = {_name(k): _shape(v, "graph.inputs") for k, v in stored.inputs.items()}
        quants = {_name(k): _quant(v) for k, v in stored.quants.items()}
        plan = Plan(
            stored.layout,
            _shape(list(stored.input_shape), "graph.input_shape"),
            inputs,
            tuple(_name(n) for n in stored.outputs),
            tuple(_step(s) for s in stored.steps),
            quants,
            {_name(k): _shape(v, "graph.ports") for k, v in stored.ports.items()},
            tuple(_name(n) for n in stored.output_names),
        )
        _check_names(plan)
        plan.shapes()
    except (LookupError, TypeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"a graph that makes sense ({type(error).__name__})") from error
    return plan


def _check_names(plan: Plan) -> None:
    names = [step.name for step in plan.steps]
    if len(set(names)) != len(names):
        raise ValueError("nodes of different names")
    shapes = plan.input_shapes
    if len(plan.inputs) != len(shapes) or len(shapes) > MOST_PORTS:
        raise ValueError(f"as many inputs, not {len(plan.inputs)} with the shapes of {len(shapes)}")
    for held, (name, shape) in zip(plan.inputs.values(), shapes.items(), strict=True):
        if held != device_shape(shape, plan.layout):
            raise ValueError(f"an {name} of shape {held}, {plan.layout}, not {shape}")
    if plan.input_shape != row_shape(shapes):
        raise ValueError(f"rows of {row_shape(shapes)}, not {plan.input_shape}")
    several = len(plan.outputs) > 1
    if len(set(plan.output_names)) != (len(plan.outputs) if several else 0):
        raise ValueError(f"a name for each of {len(plan.outputs)} outputs")


def _step(data: object) -> Step:
    stored = typed(_StoredStep, data, "graph.steps")
    op = OPS.get(stored.op)
    if op is None or stored.op in ROUTED:
        raise ValueError(f"ops of edgeq, not {stored.op[:60]!r}")
    attrs: object = typed(op.attrs, stored.attrs, f"graph.steps.{stored.op}")
    numbers = [v for v in vars(attrs).values() if isinstance(v, float)]
    if not all(math.isfinite(n) for n in numbers):
        raise ValueError(f"finite attributes of {stored.op}")
    if len(stored.constants) > MOST_CONSTANTS:
        raise ValueError(f"at most {MOST_CONSTANTS} constants of {stored.op}")
    constants = {_role(k): _constant(v) for k, v in stored.constants.items()}
    weighted = op.weight_axis is not None
    if weighted != (stored.kind in KINDS) or (not weighted and stored.kind):
        raise ValueError(f"a weight kind for layers with weights, not {stored.kind[:20]!r}")
    if weighted and set(constants) != {"weight", "bias"}:
        raise ValueError(f"weight and bias of {stored.op}, not {sorted(constants)[:5]}")
    names = (tuple(map(_name, stored.inputs)), tuple(map(_name, stored.outputs)))
    step = Step(_name(stored.name), stored.op, *names, attrs, constants, stored.kind)
    arity = op.arity or max(len(step.inputs), 1)  # ANY_NUMBER: one or more
    if len(step.inputs) != arity or len(step.outputs) != 1:
        raise ValueError(f"{stored.op} with {arity} inputs and one output")
    check_attributes(Node(step.name, step.op, step.inputs, step.outputs, attrs))
    return step


def _constant(value: object) -> tuple[tuple[int, ...], str]:
    if not isinstance(value, list) or len(value) != 2 or value[1] not in DTYPES:
        raise ValueError("constants with a shape and a type")
    return _shape(value[0], "graph.constants"), value[1]


def _shape(value: object, where: str) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(n) is int for n in value):
        raise ValueError(f"{where} with whole sizes")
    shape = tuple(value)
    if len(shape) > MOST_AXES or any(n < 1 for n in shape) or math.prod(shape) > LARGEST_TENSOR:
        raise ValueError(f"{where} of sizes that a board could hold, not {shape[:MOST_AXES]}")
    return shape


def _quant(value: object) -> Quant:
    quant: Quant = typed(Quant, value, "graph.quants")
    if len(quant.scale) != 1 or not 0 < quant.scale[0] < math.inf or quant.axis is not None:
        raise ValueError("one positive scale for an activation")
    if not -128 <= quant.zero_point <= 127:
        raise ValueError(f"zero points of int8, not {quant.zero_point}")
    return quant


def _name(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= NAME_LENGTH:
        raise ValueError("names of 1 to 200 characters")
    return value


def _role(value: object) -> str:
    if not isinstance(value, str) or not value.isidentifier() or len(value) > NAME_LENGTH:
        raise ValueError("roles that are names")
    return value


def _names(names: list[str]) -> str:
    return ", ".join(repr(n[:40]) for n in names[:5])


def _add_shape(found: dict[str, tuple[int, ...]], step: Step) -> None:
    """Types the step's output from what it reads."""
    unread = [n for n in step.inputs if n not in found]
    if unread or any(n in found for n in step.outputs):
        raise ValueError(f"{step.name!r} reads {_names(unread)} or computes a tensor again")
    values = {r: np.broadcast_to(np.zeros((), d), s) for r, (s, d) in step.constants.items()}
    shape = OPS[step.op].result_shape(step.attrs, tuple(found[n] for n in step.inputs), values)
    if math.prod(shape) > LARGEST_TENSOR or any(n < 1 for n in shape):
        raise ValueError(f"{step.name!r} makes {tuple(shape)}: more than a board could hold")
    found[step.outputs[0]] = tuple(shape)
