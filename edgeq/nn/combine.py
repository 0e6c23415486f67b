"""Cascades of finished networks: of two models, or of one float network in several widths."""

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeVar

from edgeq.errors import BadInput
from edgeq.kernels import WHOLE_ROWS, whole_norm
from edgeq.nn.calibration import routed
from edgeq.nn.cascade import Cascade, numbered
from edgeq.nn.config import build, config_of, is_depthwise
from edgeq.nn.layers import QuantLayer
from edgeq.nn.learned_steps import PARETOQ, STRAIGHT_THROUGH, checked_quantizer, learns
from edgeq.nn.mixture import Mixture, TrunkMixture
from edgeq.nn.model import Model
from edgeq.nn.weight_kinds import weight_kind

T = TypeVar("T")
KEPT = "int8"  # the kind of first, depthwise and last layers: few weights, much to lose


def with_kind(model: Model, kind: str | int) -> Model:
    """A copy of `model`, weights and sets too, whose inner layers have weights of that kind.

    The first layer, depthwise ones and the last become int8: they hold few of the weights. From
    int8 down to int6 a float network needs no more training; narrower kinds want `fit` or
    `distill`. Learned steps begin anew where the kind has them, bounds and blocks go. Raises
    BadInput for an unknown kind and for a model of several experts.
    """
    name = weight_kind(kind).name
    _refuse_experts(model)
    config = copy.deepcopy(config_of(model.body))
    weighted = list(_weighted(config))
    for i, node in enumerate(weighted):
        inner = 0 < i < len(weighted) - 1 and not is_depthwise(node)
        node["weights"] = name if inner else KEPT
        node["act_quant"] = True
        if not learns(weight_kind(node["weights"])):
            node["quantizer"] = STRAIGHT_THROUGH
        node["max_norm"] = node["block"] = None
    return _rebuilt(model, config)


def with_quantizer(model: Model, quantizer: str) -> Model:
    """A copy of `model`, weights and sets too, whose weights are quantised so in training.

    "paretoq" learns the step of every row (edgeq.nn.learned_steps), beginning from the weights as
    they are; kinds without learned steps (ptq, int9 to int16) stay as they were.
    "straight_through" finds steps from the weights. Train it with `fit` or `distill`.
    Raises BadInput for an unknown quantiser, and where no layer has such a kind.
    """
    checked_quantizer(quantizer, weight_kind("int8"))
    config = copy.deepcopy(config_of(model.body))
    changed = [n for n in _weighted(config) if learns(weight_kind(n["weights"]))]
    if quantizer == PARETOQ and not changed:
        raise BadInput(
            f"{model.name} has no layer of edgeq.nn with ternary or int1 to int8 weights, which "
            "learn their steps; give kinds first (nn.with_kind)"
        )
    for node in changed:
        node["quantizer"] = quantizer
    return _rebuilt(model, config)


def with_norm_bounds(model: Model) -> Model:
    """A copy of `model`, weights and sets too, whose fully connected rows DSP kernels never split.

    Linear layers of ternary or int4 weights with rows longer than a kernel takes at once get the
    norm at which they may stay whole (`max_norm`; edgeq.kernels.whole_norm). Train it with `fit` or
    `distill`. Raises BadInput where no layer is of that kind and length.
    """
    config = copy.deepcopy(config_of(model.body))
    found = 0
    for node in _weighted(config):
        token = weight_kind(node["weights"]).token
        most = whole_norm(token, node["in_features"]) if node["kind"] == "linear" else None
        if most is not None:
            node["max_norm"] = most
            found += 1
    if not found:
        raise BadInput(
            f"{model.name} has no Linear whose rows are split: ternary ones are from "
            f"{WHOLE_ROWS['t2'][0] + 1} inputs on, int4 ones from {WHOLE_ROWS['s4'][0] + 1}"
        )
    return _rebuilt(model, config, steps=True)


def _rebuilt(model: Model, config: dict[str, Any], *, steps: bool = False) -> Model:
    """`model` around a body of that config with its weights; learned steps begin anew, or not."""
    body = build(config)
    state = model.body.state_dict()
    body.load_state_dict({k: v for k, v in state.items() if steps or "log_step" not in k})
    return _settled(model.around(body))


def _settled(model: Model) -> Model:
    """With the ranges and thresholds that its calibration set, if it has one, gives it."""
    if model.calibration is not None:
        model.calibrate()
    return model


def mixture_of(
    model: Model,
    widths: Sequence[str | int] = ("ternary", "int8"),
    *,
    signal: str = "gap",
    escalate: float | Sequence[float] = 0.3,
) -> Model:
    """A cascade of one float network in several weight kinds, cheapest first.

    Each expert is `with_kind(model, width)`. They agree more than experts of different sizes do:
    `narrowed` and `distill` make cheaper ones. The calibration set settles the thresholds; train
    narrow kinds, then `calibrate` again. Raises BadInput for fewer than two widths, for widths
    that are not from narrow to wide, and for a model of several experts.
    """
    kinds = [weight_kind(width) for width in widths]
    if len(kinds) < 2 or any(a.bits >= b.bits for a, b in pairwise(kinds)):
        raise BadInput(
            f"widths are {', '.join(k.name for k in kinds)}; give two or more, the cheapest first, "
            'such as ("ternary", "int8")'
        )
    return mixed(
        [with_kind(model, kind.name) for kind in kinds],
        signal=signal,
        escalate=escalate,
        names=[kind.name for kind in kinds],
        name=model.name,
    )


def mixed(
    models: Sequence[Model],
    *,
    signal: str = "gap",
    escalate: float | Sequence[float] = 0.3,
    names: Sequence[str] | None = None,
    name: str | None = None,
) -> Model:
    """A cascade of finished models, cheapest first: no training is needed.

    The sets and the name are those of the last model, or of the nearest before it that has them.
    With a calibration set the thresholds are settled, so that the share `escalate` of its rows goes
    on from each stage. Raises BadInput for models of different inputs or classes, or of several
    experts each.
    """
    if len(models) < 2:
        raise BadInput(f"a cascade takes at least 2 models, got {len(models)}")
    for one in models:
        _refuse_experts(one)
    shapes, answers = {tuple(m.inputs.items()) for m in models}, {_classes(m) for m in models}
    if len(shapes) > 1 or len(answers) > 1:
        told = "; ".join(f"{m.name}: input {m.input_shape}, {_classes(m)} classes" for m in models)
        raise BadInput(f"the models of a cascade take the same input and classes; these: {told}")
    own = numbered([model.name for model in models])
    body = Cascade(list(models), signal=signal, escalate=escalate, names=names or own)
    made = Model(
        body,
        models[-1].inputs,
        _last([m.class_names for m in models]),
        _last([m.calibration for m in models]),
        _last([m.evaluation for m in models]),
        name=name or models[-1].name,
    )
    return _settled(made)


def cascaded(
    model: Model, *, signal: str = "gap", escalate: float | Sequence[float] = 0.3
) -> Model:
    """The experts of a model's mixture as a cascade behind the same trunk, fewest bits first.

    The router goes, and no training is needed: the signal of the cheapest expert's answer decides
    instead. Raises BadInput for a model whose body is no mixture.
    """
    body = model.body
    trunk, mixture = (body.trunk, body.mixture) if isinstance(body, TrunkMixture) else (None, body)
    if not isinstance(mixture, Mixture):
        raise BadInput(
            f"the body of {model.name} is {type(body).__name__}: only a mixture, with a trunk or "
            "without, becomes a cascade alone; of single networks give two or more, cheapest first"
        )
    bits = mixture.bits
    order = sorted(range(len(bits)), key=lambda e: bits[e])
    made = Cascade(
        [copy.deepcopy(mixture.experts[e]) for e in order],
        signal=signal,
        trunk=copy.deepcopy(trunk),
        escalate=escalate,
        names=numbered([mixture.kinds[e] for e in order]),
    )
    return _settled(model.around(made))


def _last(found: Sequence[T | None]) -> T | None:
    return next((one for one in reversed(found) if one is not None), None)


def _classes(model: Model) -> int:
    weighted = [m for m in model.body.modules() if isinstance(m, QuantLayer)]
    return int(weighted[-1].weight.shape[0]) if weighted else 0


def _refuse_experts(model: Model) -> None:
    if routed(model.body):
        raise BadInput(
            f"{model.name} holds several experts already; give single networks, such as one of them"
        )


def _weighted(config: object) -> list[dict[str, Any]]:
    """Every node with weights, in definition order."""
    if isinstance(config, list):
        return [node for part in config for node in _weighted(part)]
    if not isinstance(config, dict):
        return []
    found = [config] if "weights" in config else []
    return found + [node for part in config.values() for node in _weighted(part)]
