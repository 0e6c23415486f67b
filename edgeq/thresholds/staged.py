"""The stages of a cascade, or of a mixture that escalates, on rows that all of them have seen."""

from collections.abc import Sequence

import numpy as np

from edgeq.ops.cascade import Cascade
from edgeq.ops.mixture import Mixture
from edgeq.ops.op import Array
from edgeq.passes.freeze_router import Observed
from edgeq.reference import Stages as Ran
from edgeq.thresholds.stages import Stages, Thresholds


def staged(attrs: Cascade, ran: Ran, costs: Sequence[float]) -> Stages:
    """A cascade's; `costs` of all that has run when stage 0, 1, ... answers.

    A signal that is small where it is unsure counts downwards.
    """
    rule, last = attrs.rule, len(attrs.experts) - 1
    answers = ran.outputs.argmax(axis=2)
    return Stages(
        doubts=rule.doubts(ran.signals),
        differs=answers != answers[:, -1:],
        costs=np.tile(np.asarray(costs, np.float64), (len(answers), 1)),
        lowest=((rule.least + 1 if rule.doubt else 1 - rule.most),) * last,
    )


def limits_of(attrs: Cascade, thresholds: Thresholds) -> tuple[int, ...]:
    """Thresholds of `staged` doubts as those of the cascade's signal, and the other way round."""
    return thresholds if attrs.rule.doubt else tuple(-t for t in thresholds)


def escalating(
    attrs: Mixture, seen: Observed, alone: Array, costs: Sequence[float]
) -> tuple[Stages, Array]:
    """A mixture's two: whom the router would ask, then the most precise expert.

    `alone` (rows, experts): each one's answer; `costs`: of each one's route. Returns the stages and
    what they answer (rows, 2).
    """
    plain, precise = seen.logits.argmax(axis=1), attrs.most_precise
    answers = np.stack([alone[np.arange(len(plain)), plain], alone[:, precise]], axis=1)
    cost = np.asarray(costs, np.float64)
    stages = Stages(
        doubts=seen.numerator[:, None],
        differs=answers != answers[:, 1:],
        costs=np.stack([cost[plain], np.full(len(plain), cost[precise])], axis=1),
        lowest=(0,),
    )
    return stages, answers
