"""What a layer's width costs in loss: each layer alone at each width, the rest in float.

Two measures. The loss increase runs the model once a layer and width. The Hessian's (HAWQ-V2,
arXiv 1911.03852; HAWQ-V3, 2011.10680) is the second order of the same in the weights: half the mean
of the layer's Hessian diagonal, by Hutchinson's probes, times the squared error of its weights.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from edgeq.errors import BadInput
from edgeq.nn.graph_body import GraphBody, GraphLayer
from edgeq.nn.model import Model
from edgeq.nn.post_training import (
    ROWS,
    after_each,
    best_scale,
    corrected,
    float_means,
    graph_copy,
    in_float,
    set_ranges,
    settle_kind,
)
from edgeq.nn.rows import joined
from edgeq.nn.weight_kinds import codes_at, weight_kind

PROBES, TRACE_ROWS = 16, 128
SEED = 0
Watch = Callable[[int, int, str], None]  # done, in all, the next one's name
Table = dict[str, dict[str, float]]  # layer -> kind -> loss


@dataclass(frozen=True)
class Judge:
    """A loss of answers against what is wanted of `rows`. `name` says which in a report.

    each: of answers (N, ...) the loss of every row, (N,).
    """

    name: str
    each: Callable[[Tensor], Tensor]

    def loss(self, out: Tensor) -> Tensor:
        """The mean over the rows."""
        return self.each(out).mean()

    @classmethod
    def of(cls, model: Model, answer: Tensor, y: Tensor | None) -> "Judge":
        """`answer`: what the float model says of the rows; `y`: their labels, where there are any.

        A classifier's loss is the cross entropy with the labels, or its divergence (Kullback and
        Leibler's) from the float model's own probabilities; of anything else the mean squared
        difference from the float answer, over that answer's variance.
        """
        if not classifies(model):
            scale = answer.square().mean().clamp_min(1e-12)
            return cls("relative squared error", lambda out: _squares(out - answer) / scale)
        if y is not None:
            return cls("cross entropy", lambda out: F.nll_loss(_log_p(out), y, reduction="none"))
        wanted = _log_p(answer)
        p = wanted.exp()
        return cls("divergence", lambda out: (p * (wanted - _log_p(out))).sum(1))


def _squares(out: Tensor) -> Tensor:
    return out.square().flatten(1).mean(1)


def classifies(model: Model) -> bool:
    """Whether the answer is one row of two or more classes."""
    shape = next(iter(model.outputs.values()))
    plain = len(model.outputs) == 1 and len(shape) == 1 and shape[0] > 1
    return plain and model.task in (None, "classification")


def _log_p(out: Tensor) -> Tensor:
    """Of logits, or of what a softmax at the model's end has made of them."""
    sums = out.detach().sum(1)
    if bool((out.detach() >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        return out.clamp_min(1e-12).log()
    return F.log_softmax(out, 1)


@dataclass(frozen=True)
class Weighed:
    """A float model ready to be weighed: its body, rows, the judge and what float loses."""

    body: GraphBody
    rows: Tensor
    judge: Judge
    base: float

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers with weights."""
        return tuple(self.body.layers)


@torch.no_grad()
def weighed(model: Model, x: object = None, y: object = None, most: int = ROWS) -> Weighed:
    """The model in float on at most `most` rows `x` (default: its calibration set).

    `y`: their labels (N,). Ranges of activations are those of the first 512 rows.

    Raises BadInput without rows, or for labels that are none; UnsupportedOp for a mixture.
    """
    made = graph_copy(model)
    if x is not None:
        made.calibration = made._inputs("calibration set", x)
    if made.calibration is None:
        raise BadInput("sensitivity needs real inputs: pass x, float32 (N, *input shape)")
    labels = None
    if y is not None and classifies(made):
        labels = torch.from_numpy(made._labelled("calibration set", made.calibration, y)[1])
        if labels.is_floating_point() or int(labels.max()) >= made.classes:
            raise BadInput(f"labels must be whole numbers of 0 to {made.classes - 1}")
        labels = labels[:most]
    body = made.body
    assert isinstance(body, GraphBody)  # graph_copy makes one
    rows = torch.from_numpy(made.calibration[:most])
    set_ranges(body, rows[:ROWS])
    with in_float(body):
        answer = joined(body(rows)).double()
    judge = Judge.of(made, answer, labels)
    return Weighed(body, rows, judge, float(judge.loss(answer)))


def loss_increases(of: Weighed, kinds: Sequence[str], watch: Watch | None = None) -> Table:
    """Loss with one layer at a kind, its input int8, its mean corrected, less the loss in float."""
    found = row_increases(of, kinds, watch)
    return {n: {k: float(row.mean()) for k, row in own.items()} for n, own in found.items()}


@torch.no_grad()
def row_increases(
    of: Weighed, kinds: Sequence[str], watch: Watch | None = None
) -> dict[str, dict[str, Tensor]]:
    """The same of every row: layer -> kind -> (N,) float64."""
    means, base = float_means(of.body, of.rows), of.judge.each(_in_float(of))
    table: dict[str, dict[str, Tensor]] = {}
    for at, (name, layer) in enumerate(of.body.layers.items()):
        if watch:
            watch(at, len(of.layers), name)
        table[name] = {k: of.judge.each(_alone(of, layer, k, means)) - base for k in kinds}
    if watch:
        watch(len(of.layers), len(of.layers), "")
    return table


def _in_float(of: Weighed) -> Tensor:
    with in_float(of.body):
        return joined(of.body(of.rows)).double()


def _alone(of: Weighed, layer: GraphLayer, kind: str, means: Mapping[str, Tensor]) -> Tensor:
    """The answer with one layer at a kind; the layer is float again afterwards."""
    assert layer.bias is not None  # every layer of a graph has one
    bias = layer.bias.detach().clone()

    def correct(one: GraphLayer, _: Tensor, out: Tensor) -> Tensor | None:
        return corrected(one, out, means) if one is layer else None

    with in_float(of.body):
        settle_kind(layer, kind)
        layer.act.enabled = True
        with after_each(of.body, correct):
            answer = joined(of.body(of.rows)).double()
    layer.bias.copy_(bias)
    return answer


def hessian_traces(of: Weighed, watch: Watch | None = None, seed: int = SEED) -> dict[str, float]:
    """The mean of the Hessian's diagonal for the weights of each layer, by Hutchinson's estimate.

    16 probes of random signs on at most 128 rows; of a piecewise linear network's divergence from
    itself that is its Gauss-Newton matrix, which is never negative.
    """
    layers = of.body.layers
    weights = [layer.weight for layer in layers.values()]
    rows, generator = of.rows[:TRACE_ROWS], torch.Generator().manual_seed(seed)
    totals = torch.zeros(len(weights), dtype=torch.float64)
    with in_float(of.body), torch.enable_grad():
        answer = joined(of.body(rows)).double()
        judge = _of_rows(of, answer.detach())
        slopes = torch.autograd.grad(judge(answer), weights, create_graph=True)
        for probe in range(PROBES):
            if watch:
                watch(probe, PROBES, "Hessian")
            signs = [torch.randint(0, 2, w.shape, generator=generator) * 2.0 - 1 for w in weights]
            along = torch.stack([(g * v).sum() for g, v in zip(slopes, signs, strict=True)]).sum()
            curved = torch.autograd.grad(along, weights, retain_graph=True)
            found = [float((v * h).double().mean()) for v, h in zip(signs, curved, strict=True)]
            totals += torch.tensor(found, dtype=torch.float64)
    if watch:
        watch(PROBES, PROBES, "")
    return dict(zip(layers, (totals / PROBES).tolist(), strict=True))


def _of_rows(of: Weighed, answer: Tensor) -> Callable[[Tensor], Tensor]:
    """The judge without labels, on fewer rows: the curvature around the model's own answers."""
    if of.judge.name == "relative squared error":
        scale = answer.square().mean().clamp_min(1e-12)
        return lambda out: (out - answer).square().mean() / scale
    p = _log_p(answer).exp()
    return lambda out: -(p * _log_p(out)).sum(1).mean()


@torch.no_grad()
def hessian_increases(of: Weighed, kinds: Sequence[str], traces: Mapping[str, float]) -> Table:
    """Half the mean curvature of a layer times the squared error of its weights at each kind."""
    return {
        name: {k: max(0.0, traces[name]) / 2 * _weight_error(layer, k) for k in kinds}
        for name, layer in of.body.layers.items()
    }


def _weight_error(layer: GraphLayer, kind: str) -> float:
    """The squared error of all weights together."""
    found = weight_kind(kind)
    scale = best_scale(layer.weight, found)
    made = codes_at(layer.weight, scale, found) * scale.reshape(-1, *[1] * (layer.weight.dim() - 1))
    return float((made - layer.weight).double().square().sum())
