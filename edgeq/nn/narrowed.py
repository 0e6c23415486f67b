"""The same network with fewer channels: a cheaper first answer for a cascade."""

import copy
from dataclasses import dataclass
from math import floor
from typing import Any

import torch

from edgeq.errors import BadInput
from edgeq.nn.config import MODULES, build, config_of, is_depthwise
from edgeq.nn.model import Model

LANES = 4  # kernels take four channels at a time: a rest costs as much as a whole group
Config = dict[str, Any]
_CONVOLUTIONS = ("conv1d", "conv2d")
_WIDTHS = ("linear", *_CONVOLUTIONS)


@dataclass(frozen=True)
class _Width:
    """Channels at one place, before and after."""

    old: int
    new: int

    def of(self, features: int) -> int:
        """Flat or mapped `features` that were a multiple of the old channels."""
        return features // self.old * self.new


def narrowed(model: Model, factor: float, *, seed: int = 0) -> Model:
    """`model` with `factor` (above 0, at most 1) times the channels and hidden features.

    Widths are rounded to multiples of four (at least four, never more than before); the input and
    the classes stay, and so do class names, calibration and evaluation sets. The weights are new,
    initialised from `seed`: train it with `fit`, or on the wide model's answers with `distill`.
    Raises BadInput for a factor out of range, for a mixture or cascade (narrow its experts), and
    for a model that does not end in a layer with weights of its own.
    """
    if not 0.0 < factor <= 1.0:
        raise BadInput(f"narrowed: factor is {factor}; give more than 0 and at most 1")
    if len(model.inputs) > 1:
        raise BadInput("narrowed: the model has several inputs; narrow its branches, one by one")
    config = copy.deepcopy(config_of(model.body))
    last = _Narrower(factor).walk(config, _Width(*2 * (model.input_shape[0],)), keep=True)
    if last.new != last.old:
        raise BadInput("narrowed: the model must end in a Linear or Conv of its own, its classes")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body = build(config)
    return model.around(body, f"{model.name}_{factor:g}")


@dataclass(frozen=True)
class _Narrower:
    """Rewrites a config in place, from the input to the answer."""

    factor: float

    def width(self, old: int) -> int:
        """A multiple of LANES near factor * old; what is no wider stays."""
        if old <= LANES:
            return old
        return min(old, max(LANES, LANES * floor(old * self.factor / LANES + 0.5)))

    def walk(self, node: Config, x: _Width, *, keep: bool = False, to: int | None = None) -> _Width:
        """The width behind `node`, which `x` enters. `keep`: its last layer's stays as it is;
        `to`: that layer's becomes this."""
        kind = node["kind"]
        if kind == "sequential":
            return self._sequential(node["layers"], x, keep, to)
        if kind == "residual":
            return self._residual(node, x, keep)
        if kind in _WIDTHS:
            return self._weighted(node, x, keep, to)
        if "features" in node:
            node["features"] = x.of(node["features"])
        elif any((MODULES[kind].children, MODULES[kind].lists, MODULES[kind].named)):
            raise BadInput(f"narrowed: the model holds a {kind}; narrow its experts, one by one")
        return x

    def _sequential(self, layers: list[Config], x: _Width, keep: bool, to: int | None) -> _Width:
        last = max((i for i, layer in enumerate(layers) if _sets_width(layer)), default=-1)
        for i, layer in enumerate(layers):
            own = i == last
            x = self.walk(layer, x, keep=keep and own, to=to if own else None)
        return x

    def _residual(self, node: Config, x: _Width, keep: bool) -> _Width:
        """Both branches end in one width: that of the input where there is no shortcut layer."""
        shortcut = node["shortcut"]
        if shortcut is None:
            return self.walk(node["body"], x, to=x.new)
        out = self.walk(node["body"], x, keep=keep)
        return self.walk(shortcut, x, to=out.new)

    def _weighted(self, node: Config, x: _Width, keep: bool, to: int | None) -> _Width:
        linear = node["kind"] == "linear"
        into, out = ("in_features", "out_features") if linear else ("in_channels", "out_channels")
        old = node[out]
        depthwise = is_depthwise(node)
        node[into] = x.of(node[into])
        if depthwise:
            node["groups"] = node[into]
            node[out] = x.of(old)
        else:
            node[out] = to if to is not None else old if keep else self.width(old)
            _check_groups(node)
        return _Width(old, node[out])


def _check_groups(node: Config) -> None:
    """BadInput where the new channels do not fill the groups of a convolution."""
    groups = node.get("groups", 1)
    if groups > 1 and (node["in_channels"] % groups or node["out_channels"] % groups):
        raise BadInput(
            f"narrowed: a convolution in {groups} groups would take {node['in_channels']} channels "
            f"and make {node['out_channels']}; choose a width at which both are multiples of that"
        )


def _sets_width(node: Config) -> bool:
    """Whether a layer in it chooses its own number of channels."""
    if node["kind"] in _WIDTHS:
        return not is_depthwise(node)
    held = [*node.get("layers", ()), node.get("body"), node.get("shortcut")]
    return any(_sets_width(part) for part in held if part is not None)
