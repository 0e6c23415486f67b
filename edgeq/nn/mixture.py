"""A mixture of experts of different precision behind one router."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.nn import curiosity
from edgeq.nn.cascade import kind_of
from edgeq.nn.hold import checked_hold
from edgeq.nn.pooling import GlobalAvgPool
from edgeq.nn.router import PlainRouter
from edgeq.nn.weight_kinds import weight_kind

GATES = ("none", "probability")
TRAIN_MODES = ("likelihood", "soft", "straight_through")


@dataclass(frozen=True)
class Routing:
    """One decision per sample: logits and probabilities (N, E), uncertainty (N,), experts (N, k).

    Logits and probabilities are those of the pass without dropout, before curiosity.
    """

    logits: Tensor
    probabilities: Tensor
    uncertainty: Tensor
    experts: Tensor


class Mixture(nn.Module):
    """Experts, a router, and the rule that turns the router's answer into a route.

    `kinds`: each expert's precision, from which its name and its bits come; by default the weight
    kind of most of its weights.

    Evaluation: top_k=1 and gate "none" returns the logits of the routed expert; gate
    "probability" multiplies them by p_e (not renormalised); top_k > 1 sums p_e * logits_e.
    Training runs every expert: "likelihood" returns log sum_e p_e softmax(expert_e), so that each
    expert learns to answer alone; "soft" returns sum_e p_e * logits_e; "straight_through" the
    top-k sum with a straight-through gate.
    After a training forward `balance_loss` (scalar) and `expert_logits` (list of (N, C)) hold
    what the training loop adds to its loss; after an evaluation forward `last_routing` the route.
    `hold`, of the rule "escalation": of rows that follow on one another, as a device hears them, so
    many escalate behind one that does; here each row stands alone.
    """

    u_min: Tensor
    u_max: Tensor
    u_threshold: Tensor

    def __init__(
        self,
        experts: Sequence[nn.Module],
        router: PlainRouter,
        kinds: Sequence[str | int] | None = None,
        top_k: int = 1,
        gate: str = "none",
        rule: str = "precision_prior",
        alpha: float = 1.0,
        quantile: float = 0.8,
        train_mode: str = "likelihood",
        hold: int = 0,
    ) -> None:
        super().__init__()
        named = [kind_of(e).name for e in experts] if kinds is None else kinds
        self.kinds = tuple(weight_kind(k).name for k in named)
        self.bits = tuple(weight_kind(k).bits for k in self.kinds)
        self._check(len(experts), router, top_k, quantile, alpha)
        self.gate = _one_of("gate", gate, GATES)
        self.rule = _one_of("rule", rule, curiosity.RULES)
        self.train_mode = _one_of("train_mode", train_mode, TRAIN_MODES)
        self.top_k = top_k
        self.alpha = float(alpha)
        self.quantile = float(quantile)
        self.hold = checked_hold(hold)
        if hold and rule != "escalation":
            raise BadInput(f'hold={hold} is of rule="escalation"; {rule!r} escalates nothing')
        self.experts = nn.ModuleList(experts)
        self.router = router
        self.pool = GlobalAvgPool()
        for name in ("u_min", "u_max", "u_threshold"):
            self.register_buffer(name, torch.zeros(()))
        self.balance_loss: Tensor | None = None
        self.expert_logits: list[Tensor] = []
        self.last_routing: Routing | None = None

    def _check(
        self, experts: int, router: PlainRouter, top_k: int, quantile: float, alpha: float
    ) -> None:
        if not isinstance(router, PlainRouter):
            raise BadInput(f"router is {type(router).__name__}; use PlainRouter or BayesianRouter")
        if experts < 2 or experts != len(self.kinds):
            raise BadInput(
                f"a mixture takes at least 2 experts and a kind for each; got {experts} "
                f"experts, kinds {self.kinds}"
            )
        if router.experts != experts:
            raise BadInput(f"the router chooses among {router.experts}, there are {experts}")
        if not 1 <= top_k <= experts:
            raise BadInput(f"top_k must lie in 1..{experts}, got {top_k}")
        if not 0.0 <= quantile <= 1.0:
            raise BadInput(f"the escalation quantile must lie in [0, 1], got {quantile}")
        if not 0.0 <= alpha < float("inf"):
            raise BadInput(f"alpha must be finite and not negative, got {alpha}")

    def forward(self, x: Tensor, router_input: Tensor | None = None) -> Tensor:
        """Class logits (N, C). The router sees `router_input`, or `x`, pooled if it is a map."""
        seen = self.pool(x if router_input is None else router_input)
        return self._train_forward(x, seen) if self.training else self._route_forward(x, seen)

    def _train_forward(self, x: Tensor, seen: Tensor) -> Tensor:
        router_logits = self.router(seen)
        log_p = torch.log_softmax(router_logits, dim=-1)
        p = log_p.exp()
        self.expert_logits = [expert(x) for expert in self.experts]
        outputs = torch.stack(self.expert_logits, dim=1)  # (sample, expert, class)
        self.balance_loss = _balance_loss(p)
        if self.train_mode == "likelihood":
            return torch.logsumexp(log_p[:, :, None] + outputs.log_softmax(-1), dim=1)
        if self.train_mode == "soft":
            return (p[:, :, None] * outputs).sum(1)
        chosen = curiosity.top_experts(router_logits.detach(), self.top_k)
        keep = torch.zeros_like(p).scatter_(1, chosen, 1.0)
        weight = self._straight_gate(p)
        return ((keep * weight)[:, :, None] * outputs).sum(1)

    def _straight_gate(self, p: Tensor) -> Tensor:
        """The gate of evaluation in the forward, the gradient of p in the backward."""
        return p if self._weighted else 1.0 + p - p.detach()

    @property
    def _weighted(self) -> bool:
        return self.top_k > 1 or self.gate == "probability"

    def _route_forward(self, x: Tensor, seen: Tensor) -> Tensor:
        routing = self.routing(seen)
        self.last_routing = routing
        out: Tensor | None = None
        for e, expert in enumerate(self.experts):
            rows = (routing.experts == e).any(1).nonzero().flatten()
            if len(rows) == 0:
                continue
            logits: Tensor = expert(x[rows])
            if self._weighted:
                logits = logits * routing.probabilities[rows, e, None]
            if out is None:
                out = logits.new_zeros(x.shape[0], logits.shape[1])
            out = out.index_add(0, rows, logits)
        if out is None:
            raise BadInput(f"a mixture takes at least one sample, got shape {tuple(x.shape)}")
        return out

    @torch.no_grad()
    def routing(self, router_input: Tensor, rule: str | None = None) -> Routing:
        """The evaluation route of every sample, independent of the rest of the batch.

        Call in evaluation mode. `rule` overrides the mixture's own, to compare.
        """
        seen = self.pool(router_input)
        logits = self.router(seen)
        rule = rule or self.rule
        if rule == "off" or not self.curious:
            u, scores = logits.new_zeros(len(logits)), logits
        else:
            u = self.router.uncertainty(seen)
            scores = self._scores(logits, u, rule)
        chosen = curiosity.top_experts(scores, self.top_k)
        return Routing(logits, torch.softmax(logits, dim=-1), u, chosen)

    def _scores(self, logits: Tensor, u: Tensor, rule: str) -> Tensor:
        if rule == "escalation":
            target = curiosity.most_precise(self.bits)
            return curiosity.escalation_scores(logits, u, float(self.u_threshold), target)
        beta = curiosity.precision_weights(self.bits)
        low, high = float(self.u_min), float(self.u_max)
        return curiosity.prior_scores(logits, u, low, high, beta, self.alpha)

    @property
    def curious(self) -> bool:
        """False when the rule cannot act: equal bits, or u never varied, or nothing is frozen."""
        return len(set(self.bits)) > 1 and bool(self.u_max > self.u_min)

    @torch.no_grad()
    def freeze_curiosity(self, router_input: Tensor) -> int:
        """Set u_min, u_max (5 % and 95 % quantiles of u) and u_threshold from calibration data.

        Returns how many of these samples the rule sends elsewhere than "off" would.
        """
        self.eval()
        values = curiosity.quantiles(
            self.router.uncertainty(self.pool(router_input)), self.quantile
        )
        for buffer, value in zip((self.u_min, self.u_max, self.u_threshold), values, strict=True):
            buffer.fill_(value)
        moved = self.routing(router_input).experts != self.routing(router_input, "off").experts
        return int(moved.any(1).sum())


def _balance_loss(p: Tensor) -> Tensor:
    """E * sum_e f_e * mean p_e (Switch Transformer, arXiv 2101.03961): 1 when balanced."""
    experts = p.shape[1]
    share = torch.bincount(p.detach().argmax(1), minlength=experts) / p.shape[0]
    return experts * (share * p.mean(0)).sum()


def _one_of(what: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise BadInput(f"{what} is {value!r}; choose one of {', '.join(allowed)}")
    return value


class TrunkMixture(nn.Module):
    """A shared trunk, then a mixture; the router sees the trunk's output or the raw input."""

    def __init__(self, trunk: nn.Module, mixture: Mixture, router_sees: str = "trunk") -> None:
        super().__init__()
        if not isinstance(mixture, Mixture):
            raise BadInput(f"mixture is {type(mixture).__name__}; a TrunkMixture takes a Mixture")
        self.trunk = trunk
        self.mixture = mixture
        self.router_sees = _one_of("router_sees", router_sees, ("trunk", "input"))

    def forward(self, x: Tensor) -> Tensor:
        """Class logits (N, C)."""
        shared = self.trunk(x)
        logits: Tensor = self.mixture(shared, x if self.router_sees == "input" else shared)
        return logits
