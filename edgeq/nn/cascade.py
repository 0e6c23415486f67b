"""A cascade: cheap expert first, the next one only for inputs that it is unsure of."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.nn.heads import (
    MonteCarloHead,
    check_heads,
    check_members,
    ensemble,
    ensemble_logits,
    last_linear,
    router_logits,
    with_features,
)
from edgeq.nn.hold import checked_hold
from edgeq.nn.layers import Linear, QuantLayer
from edgeq.nn.pooling import GlobalAvgPool
from edgeq.nn.router import BayesianRouter
from edgeq.nn.signals import TORCH_SIGNALS
from edgeq.nn.structure import Exit
from edgeq.nn.weight_kinds import WeightKind, weight_kind
from edgeq.ops.signals import SIGNALS

LEAST_EXPERTS = 2
LONGEST_NAME = 60


@dataclass(frozen=True)
class Cascaded:
    """One decision per sample: experts (N, stages) that ran, the answering one first (where fewer
    ran, 0 again), and the signal (N,) of the last decision, in its unit.
    """

    experts: Tensor
    signal: Tensor


class Cascade(nn.Module):
    """Experts in order: the first one runs; its signal says whether the next one does, and so on.

    Experts take the same input and give logits of the same classes; they may differ in everything
    else. A finished `Model` stands for its body. Experts that are `Exit`s share more: the next one
    reads what their block gave. `trunk`: layers that all of them share, run once.
    signal "gap": the largest less the second largest logit; a sample goes on while it lies below
    the stage's threshold. "entropy": of the softmax of the logits; a sample goes on while it lies
    above. Of `heads`, several answers on the features of the last layer, which are computed once:
    "monte_carlo", the summed variance of probabilities under `passes` seeded dropout masks of the
    last layer's weights, and "router", that of a BayesianRouter on the experts'
    input (arXiv 2511.11743), go on above; "ensemble" (QUTE, arXiv 2404.12599), the gap of
    the logits summed over a Linear's members, below. `heads`: a Linear of members * classes
    outputs, by default of 4 members, or a router, for every expert but the last; training reaches
    them and not the features. `thresholds`: one a stage but the last, in the signal's unit; None to
    let `calibrate`, and an export, choose them so that the share `escalate` of the calibration rows
    that reach a stage goes on from it. `names` of the experts are those of reports; by default
    their models' names or their weights' kind. `hold`: of rows that follow on one another, as a
    device hears them, so many go on behind one that is unsure; here each row stands alone.
    Training runs every expert and returns the mean of their logits; `expert_logits` holds each
    one's (N, C) for the loss. After an evaluation forward `last_routing` says who ran. Raises
    BadInput for fewer than two experts, and for what does not fit together.
    """

    limits: Tensor

    def __init__(
        self,
        experts: Sequence[nn.Module],
        signal: str = "gap",
        thresholds: Sequence[float] | None = None,
        trunk: nn.Module | None = None,
        escalate: float | Sequence[float] = 0.3,
        names: Sequence[str] | None = None,
        heads: Sequence[nn.Module] | None = None,
        passes: int = 10,
        dropout: float = 0.1,
        seed: int = 0,
        hold: int = 0,
    ) -> None:
        super().__init__()
        if len(experts) < LEAST_EXPERTS:
            raise BadInput(f"a cascade takes at least {LEAST_EXPERTS} experts, got {len(experts)}")
        if signal not in SIGNALS:
            raise BadInput(f"signal is {signal!r}; choose one of {', '.join(SIGNALS)}")
        _check_finished(experts)
        self.signal = signal
        stages = len(experts) - 1
        self.thresholds = _numbers("thresholds", thresholds or (), stages)
        shares = [escalate] * stages if isinstance(escalate, int | float) else escalate
        self.escalate = _numbers("escalate", shares, stages, most=1.0)
        self.names = _names(names or _names_of(experts), len(experts))
        self.experts = nn.ModuleList([_body(expert) for expert in experts])
        self.kinds = tuple(kind_of(expert).name for expert in self.experts)
        exits = [isinstance(expert, Exit) for expert in list(self.experts)[:-1]]
        if any(exits) and not all(exits):
            raise BadInput("some experts before the last are exits, others are not; make all so")
        self.trunk = None if trunk is None else _body(trunk)
        self.passes, self.dropout, self.seed = passes, dropout, seed
        self.hold = checked_hold(hold)
        self.heads = nn.ModuleList(self._heads(heads))
        self.register_buffer("limits", torch.zeros(stages))  # read where thresholds say nothing
        self.every_stage = False  # for calibration: a range must not depend on the present route
        self.expert_logits: list[Tensor] = []
        self.last_routing: Cascaded | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Class logits (N, C)."""
        shared = x if self.trunk is None else self.trunk(x)
        return self._train_forward(shared) if self.training else self._route_forward(shared)

    def _heads(self, given: Sequence[nn.Module] | None) -> list[nn.Module]:
        """The modules that the signal needs beside the experts."""
        if self.signal not in ("ensemble", "router"):
            if given:
                raise BadInput(f"signal {self.signal!r} reads no heads; leave them out")
            if self.signal == "monte_carlo":
                self._check_dropout()
            return []
        made = ensemble(list(self.experts)) if given is None and self.signal == "ensemble" else []
        found = list(given or made)
        check_heads(self.signal, found, list(self.experts))
        return found

    def _check_dropout(self) -> None:
        check_members(self.passes)
        if not 0.0 < self.dropout < 1.0:
            raise BadInput(f"dropout must lie between 0 and 1, got {self.dropout}")
        for expert in list(self.experts)[:-1]:
            last_linear(expert)

    @property
    def members(self) -> int:
        """How many heads the signal reads; 0 where it reads the answer."""
        if not SIGNALS[self.signal].heads:
            return 0
        head = self.heads[0] if len(self.heads) else None
        if isinstance(head, BayesianRouter):
            return head.passes
        if head is None:
            return self.passes
        last = last_linear(self.experts[0])
        return int(head.get_parameter("weight").shape[0]) // last.out_features

    def monte_carlo(self, stage: int) -> MonteCarloHead:
        """The heads of an expert under dropout."""
        layer = last_linear(self.experts[stage])
        return MonteCarloHead(layer, self.passes, self.dropout, self.seed, stage)

    def _train_forward(self, x: Tensor) -> Tensor:
        """Heads learn to answer alone, a router which expert to trust."""
        ran = []
        for expert in self.experts:
            ran.append(with_features(expert, x) if self.heads else (x, expert(x)))
            x = handed_on(expert, x)
        logits = [each for _, each in ran]
        self.expert_logits = list(logits)
        for head, (features, answer) in zip(self.heads, ran, strict=False):
            if isinstance(head, BayesianRouter):
                outputs = torch.stack(logits, dim=1).detach().log_softmax(-1)
                p = torch.log_softmax(head(GlobalAvgPool()(x.detach())), dim=-1)
                self.expert_logits.append(torch.logsumexp(p[:, :, None] + outputs, dim=1))
            elif isinstance(head, Linear):
                kept = F.dropout(features.detach(), self.dropout)
                self.expert_logits += ensemble_logits(head, kept, answer.shape[-1]).unbind(1)
        return torch.stack(logits).mean(0)

    def answer(self, stage: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, C) of an expert that is not the last, and its signal (N,)."""
        expert, rule = self.experts[stage], TORCH_SIGNALS[self.signal]
        if self.signal == "router":
            head = self.heads[stage]
            assert isinstance(head, BayesianRouter)  # as the constructor has seen to
            return expert(x), rule(router_logits(head, x))
        if not SIGNALS[self.signal].heads:
            logits: Tensor = expert(x)
            return logits, rule(logits)
        features, logits = with_features(expert, x)
        if self.signal == "monte_carlo":
            return logits, rule(self.monte_carlo(stage).logits(features))
        head = self.heads[stage]
        assert isinstance(head, Linear)  # as the constructor has seen to
        return logits, rule(ensemble_logits(head, features, logits.shape[-1]))

    def _route_forward(self, x: Tensor) -> Tensor:
        out, values = self.answer(0, x)
        route = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        signal = out.new_zeros(len(x))
        left, given = torch.arange(len(x), device=x.device), handed_on(self.experts[0], x)
        for stage, expert in enumerate(list(self.experts)[1:]):
            if len(left) == 0:
                break
            signal = signal.index_copy(0, left, values)
            if not self.every_stage:
                goes_on = self.goes_on(values, stage)
                left, given = left[goes_on], given[goes_on]
            if len(left):
                if stage + 2 < len(self.experts):
                    made, values = self.answer(stage + 1, given)
                else:
                    made = expert(given)
                given = handed_on(expert, given)
                out = out.index_copy(0, left, made)
                route[left] = stage + 1
        steps = torch.arange(len(self.experts), device=x.device)
        self.last_routing = Cascaded((route[:, None] - steps).clamp_min(0), signal.detach())
        return out

    def goes_on(self, signal: Tensor, stage: int) -> Tensor:
        """Whether samples of that signal (N,) at a stage need the next one."""
        threshold = self.thresholds[stage] if self.thresholds else float(self.limits[stage])
        return signal > threshold if SIGNALS[self.signal].doubt else signal < threshold

    @torch.no_grad()
    def freeze_thresholds(self, x: Tensor) -> int:
        """Settle `limits` on inputs x of the cascade, unless `thresholds` says them.

        Returns how many of these samples go beyond the first expert.
        """
        self.eval()
        if not self.thresholds:
            shared = x if self.trunk is None else self.trunk(x)
            for stage, share in enumerate(self.escalate):
                _, values = self.answer(stage, shared)
                limit = SIGNALS[self.signal].sending_real(values.numpy(), share)
                self.limits[stage] = limit
                following = handed_on(self.experts[stage], shared)
                shared = following[self.goes_on(values, stage)]
        self(x)
        assert self.last_routing is not None  # the forward has just set it
        return int((self.last_routing.experts[:, 0] > 0).sum())


def handed_on(expert: nn.Module, given: Tensor) -> Tensor:
    """What the next expert reads, after `expert` has run on `given`."""
    if isinstance(expert, Exit) and expert.carried is not None:
        carried, expert.carried = expert.carried, None
        return carried
    return given


def kind_of(module: nn.Module) -> WeightKind:
    """The kind of most of a module's weights; int8 where it has none."""
    counts: Counter[str] = Counter()
    for layer in module.modules():
        if isinstance(layer, QuantLayer):
            counts[layer.kind] += layer.weight.numel()
    return weight_kind(counts.most_common(1)[0][0] if counts else "int8")


def _body(module: nn.Module) -> nn.Module:
    """What a finished model computes; any other module is itself."""
    from edgeq.nn.model import Model  # which is made of this module's layers

    return module.body if isinstance(module, Model) else module


def _check_finished(experts: Sequence[nn.Module]) -> None:
    """Finished models must speak of the same input and the same classes."""
    from edgeq.nn.model import Model

    for expert in experts:
        if not isinstance(expert, nn.Module):
            raise BadInput(f"an expert is {type(expert).__name__}; give layers or a Model")
    models = [expert for expert in experts if isinstance(expert, Model)]
    for what in ("input_shape", "class_names"):
        found = {m.name: getattr(m, what) for m in models if getattr(m, what) is not None}
        if len(set(found.values())) > 1:
            shown = "; ".join(f"{name}: {value}" for name, value in found.items())
            raise BadInput(f"the experts of a cascade share their {what}; these differ: {shown}")


def _names_of(experts: Sequence[nn.Module]) -> list[str]:
    from edgeq.nn.model import Model

    return numbered([e.name if isinstance(e, Model) else kind_of(e).name for e in experts])


def numbered(names: Sequence[str]) -> list[str]:
    """The names of experts, with the place of each behind those that several have."""
    return [name if names.count(name) == 1 else f"{name}_{i}" for i, name in enumerate(names)]


def _names(names: Sequence[str], experts: int) -> tuple[str, ...]:
    good = all(isinstance(n, str) and 0 < len(n) <= LONGEST_NAME for n in names)
    if not good or len(names) != experts or len(set(names)) != experts:
        raise BadInput(
            f"names are {[str(n)[:LONGEST_NAME] for n in names][:8]}; {experts} experts take as "
            f"many different texts of 1 to {LONGEST_NAME} characters"
        )
    return tuple(names)


def _numbers(
    what: str, values: Sequence[float], stages: int, most: float = math.inf
) -> tuple[float, ...]:
    """`stages` numbers from 0 to `most`, or none."""
    numbers = tuple(float(v) for v in values)
    if numbers and len(numbers) != stages:
        raise BadInput(f"{what} has {len(numbers)} numbers; one a stage but the last: {stages}")
    if not all(math.isfinite(n) and 0 <= n <= most for n in numbers):
        raise BadInput(f"{what} is {list(numbers)}; give finite numbers from 0 to {most:g}")
    return numbers
