"""Module <-> plain JSON: {"kind": "sequential", "layers": [...]}, and the same for every layer.

One row of MODULES per module class: its fields with the check of each, and its children. A config
comes from a file nobody vouches for: every field is checked before a module is made of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from edgeq.errors import EdgeqError, ModelFile, UnsupportedOp
from edgeq.nn import (
    activations,
    audio,
    cascade,
    layers,
    mixture,
    norms,
    pooling,
    recurrent,
    router,
    structure,
    svdf,
)
from edgeq.nn.foreign import advice
from edgeq.nn.graph_body import GraphBody
from edgeq.nn.graph_plan import plan_of
from edgeq.nn.learned_steps import STRAIGHT_THROUGH
from edgeq.ops.hold import MOST_HOLD
from edgeq.ops.op import snake_case

MAX_PARAMETERS = 64_000_000
MAX_NODES = 10_000
MAX_DEPTH = 64
MAX_SIZE = 1 << 20

Check = Callable[[Any], Any]


def _whole(low: int, high: int = MAX_SIZE) -> Check:
    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"a whole number in {low}..{high}")
        return value

    return check


def _number(low: float, high: float) -> Check:
    def check(value: object) -> float:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            raise ValueError(f"a number in [{low:g}, {high:g}]")
        return float(value)

    return check


def _listed(item: Check, low: int, high: int) -> Check:
    def check(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or not low <= len(value) <= high:
            raise ValueError(f"a list of {low} to {high} values")
        return tuple(item(v) for v in value)

    return check


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 200:
        raise ValueError("a short text")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _count_or_none(value: object) -> object:
    return None if value is None else _whole(1, 2**31 - 1)(value)


def _graph(value: object) -> object:
    plan_of(value)
    return value


SIZE, COUNT, ALPHA = _whole(1), _whole(0), _number(0.0, 1e6)
DROPOUT = _number(0.0, 0.999)  # the layers scale by 1 / (1 - p)
FRACTION = _number(0.0, 1.0)
QUANT = {
    "weights": _text,
    "bias": _flag,
    "per_tensor": _flag,
    "threshold": FRACTION,
    "act_quant": _flag,
    "quantizer": _text,
    "max_norm": _count_or_none,
    "block": _count_or_none,
}
QUANT_LATER = (("quantizer", STRAIGHT_THROUGH), ("max_norm", None), ("block", None))
RECURRENT = {"input_size": SIZE, "hidden_size": SIZE, "weights": _text, "last": _flag}
SVDF = {"input_size": SIZE, "units": SIZE, "weights": _text, "last": _flag}
SVDF |= dict.fromkeys(("memory", "rank"), _whole(1, svdf.MOST_TAPS))
ROUTER = {
    "in_features": SIZE,
    "experts": _whole(2, 64),
    "hidden": _listed(_whole(1, 4096), 0, router.MOST_HIDDEN),
    "dropout": DROPOUT,
}


def _conv(dims: int) -> dict[str, Check]:
    size, count = _listed(_whole(1, 4096), dims, dims), _listed(_whole(0, 4096), dims, dims)
    return {
        "in_channels": SIZE,
        "out_channels": SIZE,
        "kernel_size": size,
        "stride": size,
        "padding": (lambda v: v if v == layers.CAUSAL else count(v)) if dims == 1 else count,
        "groups": SIZE,
        "dilation": size,
        **QUANT,
    }


POOL = {k: _conv(2)[k] for k in ("kernel_size", "stride", "padding")}
LOG_MEL = {
    "sample_rate": _whole(1),
    **dict.fromkeys(("window", "hop", "fft", "mels"), SIZE),
    **dict.fromkeys(("low_hz", "high_hz"), _number(0.0, 1e5)),
    "floor": _number(0.0, 1e6),
    "mean": _number(-100.0, 100.0),
    "std": _number(0.0, 1e3),
    "preemphasis": FRACTION,
}
PCEN = {**dict.fromkeys(("smooth", "alpha", "root"), FRACTION), "delta": _number(0.0, 1e3)}
MIXTURE = {
    "kinds": _listed(_text, 2, 64),
    "top_k": SIZE,
    "gate": _text,
    "rule": _text,
    "alpha": ALPHA,
    "quantile": FRACTION,
    "train_mode": _text,
    "hold": _whole(0, MOST_HOLD),
}
CASCADE = {
    "signal": _text,
    "thresholds": _listed(_number(0.0, 1e9), 0, 63),
    "escalate": _listed(FRACTION, 1, 63),
    "names": _listed(_text, 2, 64),
    "passes": _whole(1, 64),
    "dropout": FRACTION,
    "seed": _whole(0, 2**31 - 1),
    "hold": _whole(0, MOST_HOLD),
}


@dataclass(frozen=True)
class ModuleRow:
    """A module class, its fields, its single children (`optional`: some that may be None), its
    lists of children, and those that have a name each.
    """

    cls: type[nn.Module]
    fields: dict[str, Check]
    children: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    later: tuple[tuple[str, Any], ...] = ()  # what files of before lack


MODULES: dict[str, ModuleRow] = {
    "sequential": ModuleRow(structure.Sequential, {}, lists=("layers",)),
    "residual": ModuleRow(
        structure.Residual, {}, children=("body", "shortcut"), optional=("shortcut",)
    ),
    "linear": ModuleRow(
        layers.Linear,
        {"in_features": SIZE, "out_features": SIZE, **QUANT},
        later=QUANT_LATER,
    ),
    "conv1d": ModuleRow(layers.Conv1d, _conv(1), later=(*QUANT_LATER, ("dilation", [1]))),
    "conv2d": ModuleRow(layers.Conv2d, _conv(2), later=(*QUANT_LATER, ("dilation", [1, 1]))),
    "lstm": ModuleRow(recurrent.LSTM, RECURRENT),
    "gru": ModuleRow(recurrent.GRU, RECURRENT),
    "mgu": ModuleRow(recurrent.MGU, RECURRENT),
    "svdf": ModuleRow(svdf.SVDF, SVDF),
    "layer_norm": ModuleRow(norms.LayerNorm, {"features": SIZE}),
    "batch_norm1d": ModuleRow(norms.BatchNorm1d, {"features": SIZE}),
    "batch_norm2d": ModuleRow(norms.BatchNorm2d, {"features": SIZE}),
    "inputs": ModuleRow(structure.Inputs, {"merge": _text}, named=("branches",)),
    "outputs": ModuleRow(structure.Outputs, {}, named=("heads",)),
    "relu": ModuleRow(structure.ReLU, {}),
    "relu6": ModuleRow(structure.ReLU6, {}),
    **{
        snake_case(cls.op): ModuleRow(cls, {k: _number(*ends) for k, ends in cls.fields.items()})
        for cls in activations.ACTIVATIONS
    },
    "graph": ModuleRow(GraphBody, {"description": _graph}),
    "log_mel": ModuleRow(audio.LogMel, LOG_MEL),
    "pcen": ModuleRow(audio.PCEN, {**LOG_MEL, **PCEN}),
    "mfcc": ModuleRow(audio.MFCC, {**LOG_MEL, "coefficients": SIZE}),
    "softmax": ModuleRow(structure.Softmax, {}),
    "delay": ModuleRow(structure.Delay, {}),
    "flatten": ModuleRow(structure.Flatten, {}),
    "dropout": ModuleRow(structure.Dropout, {"p": FRACTION}),
    "max_pool2d": ModuleRow(pooling.MaxPool2d, POOL),
    "avg_pool2d": ModuleRow(pooling.AvgPool2d, POOL),
    "global_avg_pool": ModuleRow(pooling.GlobalAvgPool, {}),
    "plain_router": ModuleRow(router.PlainRouter, ROUTER),
    "bayesian_router": ModuleRow(
        router.BayesianRouter,
        {**ROUTER, "passes": _whole(2, 1024), "seed": _whole(0, 2**32 - 1)},
    ),
    "mixture": ModuleRow(mixture.Mixture, MIXTURE, ("router",), ("experts",), later=(("hold", 0),)),
    "trunk_mixture": ModuleRow(
        mixture.TrunkMixture, {"router_sees": _text}, children=("trunk", "mixture")
    ),
    "exit": ModuleRow(structure.Exit, {}, children=("block", "head")),
    "cascade": ModuleRow(
        cascade.Cascade,
        CASCADE,
        ("trunk",),
        ("experts", "heads"),
        ("trunk",),
        later=(("heads", []), ("passes", 10), ("dropout", 0.1), ("seed", 0), ("hold", 0)),
    ),
}
_KIND_OF: dict[type[nn.Module], str] = {row.cls: name for name, row in MODULES.items()}
_ATTRIBUTE = {"weights": "kind"}  # "kind" names the node in a config


def config_of(module: nn.Module) -> dict[str, Any]:
    """Plain JSON that `build` turns into the same architecture.

    Raises UnsupportedOp naming every module, with its path, that edgeq has no layer for.
    """
    unsupported: list[str] = []
    config = _config(module, "body", unsupported)
    if unsupported:
        known = ", ".join(sorted(row.cls.__name__ for row in MODULES.values()))
        raise UnsupportedOp(
            f"edgeq cannot save {len(unsupported)} module(s): {'; '.join(unsupported)}. "
            f"Use the layers of edgeq.nn ({known})"
        )
    return config


def _config(module: nn.Module, path: str, unsupported: list[str]) -> dict[str, Any]:
    name = _KIND_OF.get(type(module))
    if name is None:
        why = advice(module)
        unsupported.append(f"{path} ({type(module).__name__}{f': {why}' if why else ''})")
        return {}
    row = MODULES[name]
    config: dict[str, Any] = {"kind": name}
    for key in row.fields:
        value = getattr(module, _ATTRIBUTE.get(key, key))
        if key == "bias":
            value = value is not None
        config[key] = list(value) if isinstance(value, tuple) else value
    for key in row.children:
        child = getattr(module, key)
        config[key] = None if child is None else _config(child, f"{path}.{key}", unsupported)
    for key in row.lists:
        # not children(), which passes over a module that was there before
        held: Any = module if key == "layers" else getattr(module, key)
        items = list(held)
        config[key] = [_config(m, f"{path}.{key}[{i}]", unsupported) for i, m in enumerate(items)]
    for key in row.named:
        parts = zip(module.names, getattr(module, key), strict=True)  # type: ignore[arg-type]
        config[key] = {n: _config(m, f"{path}.{key}.{n}", unsupported) for n, m in parts}
    return config


def build(config: object) -> nn.Module:
    """A freshly initialised module from its config.

    Raises ModelFile listing every unknown kind and bad field with its path, or when the config
    asks for more than MAX_PARAMETERS parameters, MAX_NODES nodes or MAX_DEPTH levels.
    """
    skeleton(config)
    return _Builder().run(config)


def skeleton(config: object) -> nn.Module:
    """The same module on the meta device: shapes, but no memory. Raises as `build` does."""
    with torch.device("meta"):
        module = _Builder().run(config)
    total = sum(t.numel() for t in module.state_dict().values())
    if total > MAX_PARAMETERS:
        raise ModelFile(
            f"the config asks for {total:,} parameters; the limit is {MAX_PARAMETERS:,}"
        )
    return module


def is_depthwise(node: dict[str, Any]) -> bool:
    """Whether a layer's config is a convolution with as many groups as channels."""
    groups: int = node.get("groups", 1)
    return groups > 1 and groups == node["in_channels"]


class _Builder:
    """One walk over a config; problems are collected, not raised one by one."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.nodes = 0

    def run(self, config: object) -> nn.Module:
        module = self.node(config, "body", 0)
        if self.problems or module is None:
            raise ModelFile("the model's config cannot be built: " + "; ".join(self.problems[:50]))
        return module

    def node(self, config: object, path: str, depth: int) -> nn.Module | None:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise ModelFile(f"the config is deeper than {MAX_DEPTH} or larger than {MAX_NODES}")
        if not isinstance(config, dict):
            return self.fail(path, f"is {type(config).__name__}, expected an object with a kind")
        name = config.get("kind")
        row = MODULES.get(name) if isinstance(name, str) else None
        if row is None:
            known = ", ".join(sorted(MODULES))
            return self.fail(path, f"unknown kind {_show(name)} (known: {known})")
        config = {**dict(row.later), **config}
        wanted = {"kind", *row.fields, *row.children, *row.lists, *row.named}
        if set(config) != wanted:
            odd = sorted(_show(key) for key in set(config) ^ wanted)[:10]
            return self.fail(path, f"({name}) missing or unknown fields: {', '.join(odd)}")
        return self.make(row, config, f"{path} ({name})", path, depth)

    def make(
        self, row: ModuleRow, config: dict[str, Any], label: str, path: str, depth: int
    ) -> nn.Module | None:
        before = len(self.problems)
        given = {
            _ATTRIBUTE.get(k, k): self.field(k, config[k], label, c) for k, c in row.fields.items()
        }
        for key in row.children:
            optional = config[key] is None and key in row.optional
            child = None if optional else self.node(config[key], f"{path}.{key}", depth + 1)
            given[key] = child
        for key in row.lists:
            given[key] = self.listed(config[key], f"{path}.{key}", depth + 1)
        for key in row.named:
            given[key] = self.named(config[key], f"{path}.{key}", depth + 1)
        if len(self.problems) > before:
            return None
        try:
            layers: Any = given.pop("layers", ())
            return row.cls(*layers, **given)
        except (EdgeqError, RuntimeError, TypeError, ValueError, AttributeError) as error:
            return self.fail(label, str(error).splitlines()[0][:200])

    def field(self, key: str, value: object, label: str, check: Check) -> object:
        try:
            return check(value)
        except ValueError as error:
            return self.fail(label, f"{key} is {_show(value)}, expected {error}")

    def listed(self, value: object, path: str, depth: int) -> list[nn.Module | None]:
        if not isinstance(value, list):
            self.fail(path, "is not a list")
            return []
        return [self.node(item, f"{path}[{i}]", depth) for i, item in enumerate(value)]

    def named(self, value: object, path: str, depth: int) -> dict[str, nn.Module | None]:
        if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
            self.fail(path, "is no object with a name for each")
            return {}
        return {n: self.node(item, f"{path}.{_show(n)}", depth) for n, item in value.items()}

    def fail(self, where: str, why: str) -> nn.Module | None:
        """Notes the problem; its None stands for the module that could not be made."""
        self.problems.append(f"{where}: {why}")
        return None


def _show(value: object) -> str:
    """A value for a message; containers by type only, as a small file can nest a huge one."""
    if isinstance(value, str):
        return repr(value[:60])
    if isinstance(value, int) and value.bit_length() > 64:
        return f"a whole number of {value.bit_length()} bits"
    return repr(value) if isinstance(value, int | float | None) else type(value).__name__
