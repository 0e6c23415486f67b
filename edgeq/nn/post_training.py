"""Post-training quantisation: weight kinds for the layers of a trained float model, from data."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from edgeq.errors import BadInput, UnsupportedOp
from edgeq.nn.act_quant import QMAX, QMIN
from edgeq.nn.bars import bar
from edgeq.nn.calibration import routed
from edgeq.nn.equalization import equalize
from edgeq.nn.graph import graph_of_body
from edgeq.nn.graph_body import GraphBody, GraphLayer
from edgeq.nn.graph_model import graph_model
from edgeq.nn.model import Model
from edgeq.nn.rounding import learn_rounding
from edgeq.nn.rows import joined
from edgeq.nn.weight_kinds import WeightKind, codes_at, weight_kind
from edgeq.passes.ranges import choose_quant

METHODS = ("fast", "best")
ROWS = 512  # of the calibration set that layers are run on
MOST_VALUES = 1 << 26  # of all layers' outputs on those rows, which "best" holds at once
_FRACTIONS = tuple(0.2 + 0.02 * i for i in range(41))  # of the largest weight, as the largest code

Layers = Mapping[str, GraphLayer]


def quantize(
    model: Model,
    x: object = None,
    weights: str | int = "int8",
    keep: Mapping[str, str | int] | None = None,
    *,
    ptq: str = "fast",
    progress: bool = True,
) -> Model:
    """A copy of a trained float model whose weights are of kind `weights`, without training.

    `x` (N, *input_shape): real inputs, which become the stored calibration set; by default that of
    the model. `keep` gives other kinds to some layers, by the name of a layer or of the module that
    holds it. `ptq` "fast": the steps with the least squared error a channel, then biases that give
    each channel its float mean back. "best": channels between layers are equalised where that
    helps, and every weight's rounding is learned, a layer at a time (rounding.py), with a bar and
    the time that is left on stderr if `progress`. The result can be trained, saved and exported.
    Raises BadInput for unknown kinds, layers and methods, and without data; UnsupportedOp for a
    mixture or cascade.
    """
    if ptq not in METHODS:
        raise BadInput(f"ptq is {ptq!r}; choose from {', '.join(METHODS)}")
    made = graph_copy(model)
    if x is not None:
        made.calibration = made._inputs("calibration set", x)
    if made.calibration is None:
        raise BadInput("quantize needs real inputs: pass x, float32 (N, *input shape)")
    body = made.body
    assert isinstance(body, GraphBody)  # graph_copy makes one
    kinds = _kinds(body.layers, weight_kind(weights).name, keep or {})
    rows = torch.from_numpy(made.calibration[:ROWS])
    with torch.no_grad():
        if ptq == "best":
            _quantize_best(body, kinds, rows, progress)
        else:
            _quantize(body, kinds, rows)
    return made.eval()


def weighted_layers(model: Model) -> tuple[str, ...]:
    """Names of the layers that `quantize` gives a kind to, in order. Raises as it does."""
    body = graph_copy(model).body
    assert isinstance(body, GraphBody)  # graph_copy makes one
    return tuple(body.layers)


def graph_copy(model: Model) -> Model:
    """The model with a graph for its body; one of layers becomes one, its norms folded."""
    if not isinstance(model, Model):
        raise BadInput(f"quantize takes an edgeq.nn.Model, got {type(model).__name__}")
    if isinstance(model.body, GraphBody):
        return copy.deepcopy(model).eval()
    if routed(model.body):
        raise UnsupportedOp(
            "quantize: the experts of a mixture or cascade have kinds of their own; train it, or "
            "quantise its networks and mix them"
        )
    graph = graph_of_body(copy.deepcopy(model.body).eval(), model.inputs, model.name)
    made = graph_model(
        graph,
        model.inputs,
        layout=model.layout,
        class_names=model.class_names,
        calibration=model.calibration,
        evaluation=model.evaluation,
    )
    made.task = model.task
    return made


def _kinds(layers: Layers, weights: str, keep: Mapping[str, str | int]) -> dict[str, str]:
    """The kind of each layer by name."""
    kinds = dict.fromkeys(layers, weights)
    for name, kind in keep.items():
        held = [n for n in layers if n == name or n.startswith(f"{name}.")]
        if not held:
            known = ", ".join(list(layers)[:40])
            raise BadInput(f"keep: no layer {name!r} with weights; there are {known}")
        kinds |= dict.fromkeys(held, weight_kind(kind).name)
    return kinds


def _quantize(body: GraphBody, kinds: Mapping[str, str], rows: Tensor) -> None:
    """Ranges, then a layer at a time in the order that they run in: steps, bias."""
    wanted = float_means(body, rows)
    set_ranges(body, rows)
    for name, layer in body.layers.items():
        settle_kind(layer, kinds[name])
    with after_each(body, lambda layer, _, out: corrected(layer, out, wanted)):
        body(rows)


def _quantize_best(body: GraphBody, kinds: Mapping[str, str], rows: Tensor, progress: bool) -> None:
    """Equalised if that is nearer the float model, then rounding learned layer by layer."""
    rows = rows[: max(1, MOST_VALUES // _values(body))]
    if _off(body, kinds, rows, equalized=True) < _off(body, kinds, rows, equalized=False):
        equalize(body)
    wanted = _outputs(body, rows)
    set_ranges(body, rows)
    for name, layer in body.layers.items():
        settle_kind(layer, kinds[name])
    means = {name: _per_output(out) for name, out in wanted.items()}
    with bar("rounding", len(wanted), progress) as advance:

        def settle(layer: GraphLayer, x: Tensor, _: Tensor) -> Tensor:
            learn_rounding(layer, x, wanted.pop(layer.step.name))
            advance(layer.step.name)
            return corrected(layer, _again(layer, x), means)

        with after_each(body, settle):
            body(rows)


def _again(layer: GraphLayer, x: Tensor) -> Tensor:
    """The layer's output once more, without hooks."""
    return layer.forward(x)


def _values(body: GraphBody) -> int:
    """How many values all layers make of a row."""
    shapes = body.plan.shapes()
    return sum(math.prod(shapes[layer.step.outputs[0]]) for layer in body.layers.values())


def _off(body: GraphBody, kinds: Mapping[str, str], rows: Tensor, *, equalized: bool) -> float:
    """How far a copy, quantised fast, is from the float model: mean squared, on the output."""
    with in_float(body):
        wanted = joined(body(rows))
    other = copy.deepcopy(body)
    if equalized and not equalize(other):
        return math.inf
    _quantize(other, kinds, rows)
    return float((joined(other(rows)) - wanted).square().mean())


def _outputs(body: GraphBody, rows: Tensor) -> dict[str, Tensor]:
    """The float output of every layer."""
    found: dict[str, Tensor] = {}

    def keep(layer: GraphLayer, _: Tensor, out: Tensor) -> None:
        found[layer.step.name] = out.clone()

    with in_float(body), after_each(body, keep):
        body(rows)
    return found


def float_means(body: GraphBody, rows: Tensor) -> dict[str, Tensor]:
    """The float mean of every output of every layer: (out,)."""
    found: dict[str, Tensor] = {}

    def keep(layer: GraphLayer, _: Tensor, out: Tensor) -> None:
        found[layer.step.name] = _per_output(out)

    with in_float(body), after_each(body, keep):
        body(rows)
    return found


def _per_output(out: Tensor) -> Tensor:
    return out.reshape(-1, out.shape[-1]).mean(0)


@contextmanager
def in_float(body: GraphBody) -> Iterator[None]:
    """No rounding for a while: of a float model's layers nothing is changed."""
    before = {name: layer.kind for name, layer in body.layers.items()}
    ranges = {name: layer.act.enabled for name, layer in body.layers.items()}
    scales = {name: layer.scale.clone() for name, layer in body.layers.items()}
    for layer in body.layers.values():
        layer.set_kind("ptq")
        layer.act.enabled = False
    try:
        yield
    finally:
        for name, layer in body.layers.items():
            layer.set_kind(before[name])
            layer.scale.copy_(scales[name])
            layer.act.enabled = ranges[name]


@contextmanager
def after_each(
    body: GraphBody, call: Callable[[GraphLayer, Tensor, Tensor], Tensor | None]
) -> Iterator[None]:
    """`call(layer, input, output)` behind every layer; what it returns takes the output's place."""

    def hook(module: nn.Module, x: tuple[Tensor, ...], out: Tensor) -> Tensor | None:
        assert isinstance(module, GraphLayer)
        return call(module, x[0], out)

    handles = [layer.register_forward_hook(hook) for layer in body.layers.values()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def set_ranges(body: GraphBody, rows: Tensor) -> None:
    """The range of every layer's input from a float run, by least squared error as exports do."""

    def keep(layer: GraphLayer, x: Tensor, _: Tensor) -> None:
        quant = choose_quant(x.numpy(), "mse")
        layer.act.low.fill_((QMIN - quant.zero_point) * quant.per_tensor)
        layer.act.high.fill_((QMAX - quant.zero_point) * quant.per_tensor)

    with in_float(body), after_each(body, keep):
        body(rows)


def settle_kind(layer: GraphLayer, kind: str) -> None:
    layer.set_kind(kind)
    if kind != "ptq" and layer.weight_format != "s16":
        layer.scale.copy_(best_scale(layer.weight, weight_kind(kind)))


def best_scale(weight: Tensor, kind: WeightKind) -> Tensor:
    """(out,): of many steps the one with the least squared error, an output channel each."""
    rows = weight.detach().reshape(weight.shape[0], -1)
    peak = rows.abs().amax(1).clamp_min(1e-12)

    def error_of(scale: Tensor) -> Tensor:
        return (codes_at(rows, scale, kind) * scale[:, None] - rows).square().sum(1)

    best = peak / kind.top  # not the last of the fractions: that is a bit off after rounding
    error = error_of(best)
    for fraction in _FRACTIONS:
        scale = peak * (fraction / kind.top)
        off = error_of(scale)
        best, error = torch.where(off < error, scale, best), torch.minimum(off, error)
    return best


def corrected(layer: GraphLayer, out: Tensor, wanted: Mapping[str, Tensor]) -> Tensor:
    """Moves the bias by what rounding has moved the mean of each output, and the output with it."""
    if layer.step.attrs.activation != "none":  # behind a clamp the mean is no longer the bias's
        return out
    moved = wanted[layer.step.name] - _per_output(out)
    assert layer.bias is not None
    layer.bias.add_(moved)
    return out + moved
