"""The parameter struct of each kernel, as finished C text: (field, value) in the header's order."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from edgeq.emit.c_literals import braces, integer
from edgeq.ir import Graph, Node, Quant
from edgeq.ops.op import Array, activation_bounds, quant_of
from edgeq.ops.router import Router, uncertainty_factor
from edgeq.weights import Key, PackedWeights

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Source:
    """One node with the symbols of its packed arrays; `owner` is its expert's name or ""."""

    graph: Graph
    node: Node
    packed: PackedWeights
    owner: str = ""

    def symbol(self, role: str) -> str:
        key: Key = (self.owner, self.node.name, role)
        return self.packed.symbols[key]

    def holds(self, role: str) -> bool:
        """Whether the kernel reads an array of this role."""
        return (self.owner, self.node.name, role) in self.packed.symbols

    def param(self, role: str) -> Array:
        return self.graph.param(self.node, role)

    def number(self, role: str, index: int = 0) -> int:
        """One element of a constant that is written into the struct."""
        return int(self.param(role).ravel()[index])

    def input_quant(self, index: int = 0) -> Quant:
        return quant_of(self.graph.tensors[self.node.inputs[index]])

    @property
    def output_quant(self) -> Quant:
        return quant_of(self.graph.tensors[self.node.outputs[0]])

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.graph.tensors[self.node.inputs[0]].shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.graph.tensors[self.node.outputs[0]].shape


def _numbers(**values: int) -> Fields:
    return tuple((name, integer(int(value))) for name, value in values.items())


def _bounds(source: Source) -> Fields:
    low, high = activation_bounds(source.node.attrs.activation, source.output_quant)
    return _numbers(activation_min=low, activation_max=high)


def _vectors(source: Source) -> Fields:
    """Null for those that stand in the words of the weight."""
    roles = ("weight", "bias", "multiplier", "shift")
    return tuple((role, source.symbol(role) if source.holds(role) else "0") for role in roles)


def _zero_points(source: Source) -> Fields:
    return _numbers(
        input_zero_point=source.input_quant().zero_point,
        output_zero_point=source.output_quant.zero_point,
    )


def _fully_connected(source: Source) -> Fields:
    outputs, inputs = source.param("weight").shape
    sizes = _numbers(inputs=inputs, outputs=outputs)
    return _vectors(source) + sizes + _zero_points(source) + _bounds(source)


def _window(
    source: Source, kernel: tuple[int, ...], padding: tuple[int, ...], prefix: str = ""
) -> Fields:
    (height, width, channels), out = source.input_shape, source.output_shape
    stride = source.node.attrs.stride
    fields = _numbers(
        input_height=height,
        input_width=width,
        channels=channels,
        output_height=out[0],
        output_width=out[1],
        kernel_height=kernel[0],
        kernel_width=kernel[1],
        stride_height=stride[0],
        stride_width=stride[1],
        padding_top=padding[0],
        padding_left=padding[1],
    )
    return tuple((prefix + name, value) for name, value in fields)


def _conv_2d(source: Source) -> Fields:
    shape = source.param("weight").shape
    kernel = shape[1:3] if source.node.op == "Conv2D" else shape[:2]
    window = _window(source, kernel, source.node.attrs.padding, "window.")
    sizes = _numbers(outputs=source.output_shape[2])
    return _vectors(source) + window + sizes + _zero_points(source) + _bounds(source)


def _average_pool_2d(source: Source) -> Fields:
    numbers = _numbers(multiplier=source.number("multiplier"), shift=source.number("shift"))
    window = _window(source, source.node.attrs.kernel, (0, 0), "window.")
    return window + _zero_points(source) + numbers


def _max_pool_2d(source: Source) -> Fields:
    return _window(source, source.node.attrs.kernel, source.node.attrs.padding)


def _add(source: Source) -> Fields:
    quants = (source.input_quant(0), source.input_quant(1), source.output_quant)
    return (
        *_numbers(size=int(np.prod(source.output_shape))),
        ("zero_point", braces(np.array([q.zero_point for q in quants], np.int32))),
        ("multiplier", braces(source.param("multiplier"))),
        ("shift", braces(source.param("shift"))),
        *_bounds(source),
    )


def _relu(source: Source) -> Fields:
    return _numbers(size=int(np.prod(source.output_shape))) + _bounds(source)


def _layer_norm(source: Source) -> Fields:
    *rows, features = source.input_shape
    return (
        ("gamma", source.symbol("gamma")),
        ("beta", source.symbol("beta")),
        ("epsilon", integer(source.number("epsilon"), "int64")),
        *_numbers(
            rows=int(np.prod(rows, dtype=np.int64)),
            features=features,
            shift=source.number("shift"),
            output_zero_point=source.output_quant.zero_point,
        ),
        *_bounds(source),
    )


def _softmax(source: Source) -> Fields:
    *rows, classes = source.input_shape
    sizes = _numbers(rows=int(np.prod(rows, dtype=np.int64)), classes=classes)
    return (("exp_table", source.symbol("exp_table")), *sizes)


# op -> the struct type of its kernels and what fills it
PARAMS: Mapping[str, tuple[str, Callable[[Source], Fields]]] = {
    "FullyConnected": ("edgeq_fully_connected_params", _fully_connected),
    "Conv2D": ("edgeq_conv_2d_params", _conv_2d),
    "DepthwiseConv2D": ("edgeq_conv_2d_params", _conv_2d),
    "AveragePool2D": ("edgeq_average_pool_2d_params", _average_pool_2d),
    "MaxPool2D": ("edgeq_window", _max_pool_2d),
    "Add": ("edgeq_add_params", _add),
    "Relu": ("edgeq_relu_params", _relu),
    "LayerNorm": ("edgeq_layer_norm_params", _layer_norm),
    "Softmax": ("edgeq_softmax_params", _softmax),
}

RULE_NAMES: Mapping[str, str] = {
    "off": "EDGEQ_RULE_OFF",
    "precision_prior": "EDGEQ_RULE_PRECISION_PRIOR",
    "escalation": "EDGEQ_RULE_ESCALATION",
}


def router_layers(source: Source) -> tuple[Fields, ...]:
    """One edgeq_router_layer after another. Where nothing is dropped, `dropped` repeats `plain`."""
    router: Router = source.node.attrs.router
    quants = (source.input_quant(1), *router.quants)
    return tuple(tuple(_router_layer(source, router, i, quants)) for i in range(router.layers))


def _router_layer(
    source: Source, router: Router, i: int, quants: tuple[Quant, ...]
) -> Iterator[tuple[str, str]]:
    bayesian = f"router.{i}.mask" in source.node.params
    outputs, inputs = source.param(f"router.{i}.weight").shape
    low, high = activation_bounds("relu" if i < router.layers - 1 else "none", quants[i + 1])
    numbers = _numbers(
        inputs=inputs,
        outputs=outputs,
        input_zero_point=quants[i].zero_point,
        output_zero_point=quants[i + 1].zero_point,
        activation_min=low,
        activation_max=high,
    )
    for part, suffix in (("plain", ""), ("dropped", ".dropped" if bayesian else "")):
        yield f"{part}.weight", source.symbol(f"router.{i}.weight")
        for role in ("bias", "multiplier", "shift"):
            yield f"{part}.{role}", source.symbol(f"router.{i}.{role}{suffix}")
        yield from ((f"{part}.{name}", value) for name, value in numbers)
    yield "mask", source.symbol(f"router.{i}.mask") if bayesian else "NULL"


def router_params(source: Source) -> Fields:
    """edgeq_router_params; constants of rules that are not used are zero."""
    attrs, router = source.node.attrs, source.node.attrs.router
    passes = router.passes if router.kind == "bayesian" else 0
    large = {
        "u_min": _optional(source, "router.u_min"),
        "u_max": _optional(source, "router.u_max"),
        "threshold": _optional(source, "router.threshold"),
        "uncertainty_factor": uncertainty_factor(passes) if passes else 0,
    }
    return (
        ("layers", "router_layers"),
        ("exp_table", _optional_symbol(source, "router.exp_table")),
        ("prior", _optional_symbol(source, "router.prior")),
        *((name, integer(value, "int64")) for name, value in large.items()),
        *_numbers(
            precise=_optional(source, "router.precise"),
            layer_count=router.layers,
            passes=passes,
            top_k=attrs.top_k,
        ),
        ("rule", RULE_NAMES[router.rule]),
    )


def _optional(source: Source, role: str) -> int:
    return source.number(role) if role in source.node.params else 0


def _optional_symbol(source: Source, role: str) -> str:
    return source.symbol(role) if role in source.node.params else "NULL"


def gate_params(source: Source) -> Fields:
    """edgeq_gate_params of a mixture whose experts are weighed."""
    expert = source.node.attrs.experts[0].graph
    return _numbers(
        size=int(np.prod(source.output_shape)),
        expert_zero_point=quant_of(expert.tensors[expert.outputs[0]]).zero_point,
        output_zero_point=source.output_quant.zero_point,
        multiplier=source.number("gate.multiplier"),
        shift=source.number("gate.shift"),
    )
