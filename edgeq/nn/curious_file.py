"""From a checkpoint of the authors' code to a model of edgeq: file, sidecar, conversion."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from edgeq.errors import BadInput, ModelFile
from edgeq.nn.act_quant import ActQuant
from edgeq.nn.archive import read_archive
from edgeq.nn.calibration import run_in_batches
from edgeq.nn.curious import (
    Published,
    PublishedExpert,
    PublishedRouter,
    State,
    kind_of_width,
    published_weight,
)
from edgeq.nn.experts import paper_expert
from edgeq.nn.layers import Linear
from edgeq.nn.mixture import Mixture
from edgeq.nn.model import Model
from edgeq.nn.norms import LayerNorm
from edgeq.nn.router import BayesianRouter, PlainRouter
from edgeq.strict import Finite, Strict, read_strict

EXPERT_KEYS = frozenset(
    [
        f"net.{i}.{part}"
        for i in (0, 4)
        for part in ("weight", "bias", "act_ln.weight", "act_ln.bias")
    ]
    + [f"net.{i}.{part}" for i in (1, 5, 8) for part in ("weight", "bias")]
)
ROUTERS = ((0, 3, 6), (0, 3, 5))  # indices of the Linears, of a Bayesian and a plain one
_EXPERT = re.compile(r"experts\.(\d{1,2})\.(.+)")
Real = Annotated[float, Field(strict=False, allow_inf_nan=False)]


class Scaler(Strict):
    """What raw features are less, and by what they are divided."""

    mean: list[Real] = Field(min_length=1)
    scale: list[Annotated[float, Field(strict=False, gt=0)]] = Field(min_length=1)


class Sidecar(Strict):
    """What a checkpoint does not say. `scaler` null: the features came scaled already."""

    widths: list[str | int] = Field(min_length=1, max_length=64)
    alpha: Finite
    passes: Annotated[int, Field(ge=2, le=64)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    scaler: Scaler | None
    class_names: list[str] = Field(min_length=1)

    @model_validator(mode="after")
    def _widths_are_known(self) -> "Sidecar":
        known = {"ternary", "16", "float", *map(str, range(1, 9))}
        odd = [w for w in self.widths if str(w) not in known]
        if odd:
            raise ValueError(f'widths {odd}: each is "ternary", 1 to 8, 16 or "float"')
        return self


@dataclass(frozen=True)
class CuriousQmoe:
    """A checkpoint: `published` runs as its authors run it, on raw features (N, features)."""

    published: Published
    sidecar: Sidecar
    features: int
    classes: int

    def model(self, x: object, name: str = "curious") -> Model:
        """The edgeq model, with static scales from raw features x (N, features).

        Its inputs are scaled features (`scaled`). Where the published router follows the batch,
        this one has the frozen constants of these rows.
        """
        rows = self.scaled(x)
        model = Model(self._body(), (self.features,), self.sidecar.class_names, rows, name=name)
        _settle(model.body, torch.from_numpy(rows))
        if model.mixtures:
            model.calibrate()
        return model.eval()

    def scaled(self, x: object) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Raw features as the model takes them, float32. Raises BadInput for another shape."""
        raw = np.asarray(x, np.float32)
        if raw.ndim != 2 or raw.shape[1] != self.features or len(raw) == 0:
            raise BadInput(f"features have shape {raw.shape}; the model takes (N, {self.features})")
        return np.asarray(self.published.scaled(torch.from_numpy(raw)).numpy(), np.float32)

    def compare(self, model: Model, x: object, y: object) -> dict[str, float]:
        """Accuracy of both on raw features and labels (N,), the difference, and how often the
        answers agree.
        """
        rows, labels = self.scaled(x), np.asarray(y)
        theirs = self.published(torch.from_numpy(np.asarray(x, np.float32))).argmax(1).numpy()
        ours = model.predict(rows)[0].argmax(axis=1)
        published, converted = float((theirs == labels).mean()), float((ours == labels).mean())
        return {
            "published": published,
            "edgeq": converted,
            "difference": converted - published,
            "agreement": float((theirs == ours).mean()),
        }

    def _body(self) -> nn.Module:
        experts = [_converted(expert, self) for expert in self.published.published_experts]
        if self.published.router is None:
            return experts[0]
        kinds = [kind_of_width(expert.width) for expert in self.published.published_experts]
        router = _converted_router(self.published.router, self.features, len(experts))
        return Mixture(experts, router, kinds, alpha=self.sidecar.alpha)


def from_curious_qmoe(path: str | os.PathLike[str], sidecar: str | os.PathLike[str]) -> CuriousQmoe:
    """A state dict that the authors' code saved, with a sidecar for what is not in it.

    The sidecar is JSON: widths (one an expert), alpha, passes, dropout, scaler ({mean, scale} or
    null), class_names. Nothing in the checkpoint is executed. Raises BadInput without a file,
    ModelFile for a checkpoint or sidecar that is damaged, incomplete or of another layout.
    """
    where = Path(path)
    said = _sidecar(Path(sidecar))
    state = _tensors(where, read_archive(where))
    try:
        return _checkpoint(state, said)
    except ValueError as error:
        raise ModelFile(f"{where}: {error}") from None


WRITTEN = "write widths, alpha, passes, dropout, scaler and class_names as a JSON object"


def _sidecar(path: Path) -> Sidecar:
    try:
        return read_strict(path, Sidecar)[0]
    except OSError:
        raise BadInput(
            f"{path}: no such sidecar; a checkpoint holds none of what it says: {WRITTEN}"
        ) from None
    except ValueError as error:
        raise ModelFile(f"{path} is no sidecar: {error}; {WRITTEN}") from None


def _tensors(path: Path, content: object) -> dict[str, Tensor]:
    """Dense finite float32 tensors by name."""
    if not isinstance(content, Mapping) or not content:
        raise ModelFile(f"{path}: no state dict; save model.state_dict() alone")
    found = {}
    for name, tensor in content.items():
        good = isinstance(tensor, Tensor) and tensor.dtype == torch.float32
        if not isinstance(name, str) or not good or not bool(torch.isfinite(tensor).all()):
            raise ModelFile(
                f"{path}: {str(name)[:60]!r} is no finite float32 tensor; save model.state_dict() "
                "alone"
            )
        found[name] = tensor.detach().clone()
    return found


def _checkpoint(state: Mapping[str, Tensor], said: Sidecar) -> CuriousQmoe:
    parts, rest = _parts(state)
    if len(parts) != len(said.widths):
        raise ValueError(f"{len(parts)} experts, the sidecar has {len(said.widths)} widths")
    experts = [_expert(i, parts[i], str(w)) for i, w in enumerate(said.widths)]
    sizes = {(e.state["net.0.weight"].shape[1], e.state["net.8.weight"].shape[0]) for e in experts}
    if len(sizes) != 1:
        raise ValueError(f"experts of different inputs and outputs: {sorted(sizes)}")
    ((features, classes),) = sizes
    if classes != len(said.class_names):
        raise ValueError(f"{classes} outputs, the sidecar has {len(said.class_names)} class names")
    router = _router(rest, said, features, len(experts)) if len(experts) > 1 else None
    if router is None and rest:
        raise ValueError(f"keys of no known layout: {_some(rest)}")
    published = Published(experts, router, said.alpha, _scaler(said, features))
    return CuriousQmoe(published, said, features, classes)


def _parts(state: Mapping[str, Tensor]) -> tuple[dict[int, dict[str, Tensor]], dict[str, Tensor]]:
    """The experts' tensors by number, and what is no expert's; one expert alone has no prefix."""
    if any(name.startswith(("fc_layers.", "output_layer.")) for name in state):
        raise ValueError(
            "float and PTQ experts (fc_layers.*) have no fixed order of layers: retrain them, or "
            "load one of the quantised experts"
        )
    parts: dict[int, dict[str, Tensor]] = {}
    rest: dict[str, Tensor] = {}
    for name, tensor in state.items():
        found = _EXPERT.fullmatch(name)
        if found:
            parts.setdefault(int(found[1]), {})[found[2]] = tensor
        elif name.startswith("net."):
            parts.setdefault(0, {})[name] = tensor
        else:
            rest[name] = tensor
    if sorted(parts) != list(range(len(parts))):
        raise ValueError(f"experts {sorted(parts)} are not numbered from 0")
    return parts, rest


def _expert(number: int, state: State, width: str) -> PublishedExpert:
    odd = set(state) ^ EXPERT_KEYS
    if odd:
        raise ValueError(f"expert {number} has or lacks {_some(odd)}; 14 keys were expected")
    widths = [state[f"net.{i}.weight"].shape for i in (0, 4, 8)]
    if any(len(shape) != 2 for shape in widths):
        raise ValueError(f"expert {number}: weights of shapes {[tuple(s) for s in widths]}")
    (h1, features), (h2, inner), (classes, last) = widths
    wanted = {"net.0.act_ln": features, "net.1": h1, "net.4.act_ln": h1, "net.5": h2}
    biases = {"net.0": h1, "net.4": h2, "net.8": classes}
    shapes = {f"{n}.{p}": (size,) for n, size in wanted.items() for p in ("weight", "bias")}
    shapes |= {f"{n}.bias": (size,) for n, size in biases.items()}
    wrong = [n for n, shape in shapes.items() if tuple(state[n].shape) != shape]
    if wrong or (inner, last) != (h1, h2):
        raise ValueError(f"expert {number}: shapes do not fit together: {_some(wrong or widths)}")
    return PublishedExpert(state, width)


def _router(
    rest: Mapping[str, Tensor], said: Sidecar, features: int, experts: int
) -> PublishedRouter:
    for layers in ROUTERS:
        names = {f"router.net.{i}.{part}" for i in layers for part in ("weight", "bias")}
        if set(rest) == names:
            state = {name.removeprefix("router."): tensor for name, tensor in rest.items()}
            shapes = [tuple(state[f"net.{i}.weight"].shape) for i in layers]
            (h1, inputs), (h2, inner), (outputs, last) = shapes
            biases = [tuple(state[f"net.{i}.bias"].shape) for i in layers]
            if (inputs, inner, last, outputs) != (features, h1, h2, experts) or biases != [
                (h1,),
                (h2,),
                (experts,),
            ]:
                raise ValueError(f"the router's shapes {shapes} do not fit {experts} experts")
            return PublishedRouter(state, layers, said.dropout, said.passes)
    raise ValueError(
        f"keys of no known router: {_some(rest)}; known are router.net.0, 3, 6 (Bayesian) and "
        "0, 3, 5 (plain)"
    )


def _scaler(said: Sidecar, features: int) -> tuple[Tensor, Tensor] | None:
    if said.scaler is None:
        return None
    mean, scale = torch.tensor(said.scaler.mean), torch.tensor(said.scaler.scale)
    if mean.shape != (features,) or scale.shape != (features,):
        raise ValueError(
            f"the sidecar's scaler has {len(mean)} means and {len(scale)} scales, the model "
            f"{features} features"
        )
    return mean, scale


def _some(names: object) -> str:
    return ", ".join(sorted(str(name)[:60] for name in names)[:5])  # type: ignore[attr-defined]


def _converted(expert: PublishedExpert, of: CuriousQmoe) -> nn.Sequential:
    """The same layers in edgeq, weights so that its quantiser finds the published codes."""
    s, width = expert.state, expert.width
    hidden = [s[f"net.{i}.weight"].shape[0] for i in (0, 4)]
    kind = kind_of_width(width)
    made = paper_expert(of.features, hidden, of.classes, kind, of.sidecar.dropout)
    linears = [layer for layer in made if isinstance(layer, Linear)]
    norms = [layer for layer in made if isinstance(layer, LayerNorm)]
    with torch.no_grad():
        for layer, i in zip(linears, (0, 4, 8), strict=True):
            weight = s[f"net.{i}.weight"]
            keeps = i == 8 or width == "ternary"  # edgeq's own rule centres ternary rows alike
            layer.weight.copy_(weight if keeps else published_weight(weight, width))
            assert layer.bias is not None
            layer.bias.copy_(s[f"net.{i}.bias"])
        names = ("net.0.act_ln", "net.1", "net.4.act_ln", "net.5")
        for norm, name in zip(norms, names, strict=True):
            norm.weight.copy_(s[f"{name}.weight"])
            norm.bias.copy_(s[f"{name}.bias"])
    return made


def _converted_router(router: PublishedRouter, features: int, experts: int) -> PlainRouter:
    hidden = [router.state[f"net.{i}.weight"].shape[0] for i in router.layers[:2]]
    made = (
        BayesianRouter(features, experts, hidden, router.dropout, router.passes)
        if router.bayesian
        else PlainRouter(features, experts, hidden, router.dropout)
    )
    with torch.no_grad():
        for layer, i in zip(made.linears, router.layers, strict=True):
            layer.weight.copy_(router.state[f"net.{i}.weight"])
            assert layer.bias is not None
            layer.bias.copy_(router.state[f"net.{i}.bias"])
    return made


def _settle(body: nn.Module, rows: Tensor) -> None:
    """Static ranges of every layer's input; each expert and the router sees all the rows."""
    parts = [*body.experts, body.router] if isinstance(body, Mixture) else [body]
    acts = [m for m in body.modules() if isinstance(m, ActQuant)]
    enabled = [act.enabled for act in acts]
    hooks = [a.register_forward_pre_hook(lambda act, x: act.widen(x[0])) for a in acts]
    try:
        for act in acts:
            act.enabled = False
        for part in parts:
            run_in_batches(part, rows)
    finally:
        for hook in hooks:
            hook.remove()
        for act, was in zip(acts, enabled, strict=True):
            act.enabled = was
