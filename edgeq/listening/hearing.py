"""How a model hears: which samples are a row of its input, and what its answers say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.errors import BadInput
from edgeq.estimating.budget import SECONDS, read_quantity
from edgeq.ir import Graph
from edgeq.ir.ports import ends_in_map, outputs_of, result_tensors
from edgeq.ops.log_mel import sound_rate
from edgeq.ops.op import Array, quant_of
from edgeq.ops.softmax import OUTPUT_QUANT
from edgeq.plain_text import one_line
from edgeq.reference import quantize_rows, real_outputs
from edgeq.sound import Sound

_WHOLE = 1e-6  # how far a hop may be from a whole number of samples


@dataclass(frozen=True)
class Hearing:
    """In samples at `rate_hz`: a row is the newest `row` of them, one every `hop`. Rows before
    number `first` are too early for an answer.
    """

    graph: Graph
    rate_hz: int
    hop: int
    row: int
    first: int

    @property
    def hop_s(self) -> float:
        """From a row to the next."""
        return self.hop / self.rate_hz

    def heard_s(self, index: int) -> float:
        """Where in the sound the row `index` ends."""
        return (self.row + index * self.hop) / self.rate_hz

    def count(self, samples: int) -> int:
        """Rows in so many samples; what fills none at the end is left."""
        return max(0, (samples - self.row) // self.hop + 1)

    def check(self, sound: Sound, where: object) -> None:
        """Raises BadInput for a sound that is over before the first answer."""
        if self.count(len(sound.samples)) <= self.first:
            raise BadInput(
                f"{where} is {sound.seconds:.3f} s long; the first answer takes "
                f"{self.heard_s(self.first):.3f} s"
            )

    def rows(self, samples: Array) -> Iterator[Array]:
        """Codes (1, *shape) of one row after another; samples are real, in [-1, 1)."""
        shape = self.graph.tensors[self.graph.inputs[0]].shape
        for index in range(self.count(len(samples))):
            at = index * self.hop
            yield quantize_rows(self.graph, samples[at : at + self.row].reshape(1, *shape))

    def scores(self, codes: Array) -> Array:
        """Shares of the classes (classes,) float64: what a softmax gave, else one of the logits."""
        real = real_outputs(self.graph, codes[None])[0][: outputs_of(self.graph).ports[0].size]
        made = quant_of(self.graph.tensors[result_tensors(self.graph)[0]])
        if made == OUTPUT_QUANT:
            return np.asarray(real)
        shares = np.exp(real - real.max())
        return np.asarray(shares / shares.sum())


def hearing_of(graph: Graph, hop: str | None) -> Hearing:
    """How the model of a graph hears; `hop`, as "250ms": of one that takes whole windows, from one
    to the next (None: they follow on each other). Raises BadInput for a model that does not take
    sound or has no classes, and for the hop.
    """
    rate_hz = _rate(graph)
    row = graph.tensors[graph.inputs[0]].size
    outputs = outputs_of(graph).ports
    if ends_in_map(graph) or outputs[0].size < 2:
        raise BadInput(
            f"the model answers {outputs_of(graph).said}, not scores of classes, which is what "
            "`listen` shows; `edgeq profile` measures it"
        )
    if graph.stream is None:
        return Hearing(graph, rate_hz, _hop(hop, rate_hz, row), row, 0)
    if hop is not None:
        own = f"{graph.stream.hop / rate_hz * 1e3:g}ms"
        raise BadInput(
            f"--hop is of exports of whole windows; this one takes hops of {own}: export another "
            f"with --stream hop={hop}"
        )
    return Hearing(graph, rate_hz, row, row, graph.stream.first)


def _rate(graph: Graph) -> int:
    """Samples a second. Raises BadInput for a model that takes something else."""
    kind = graph.tensors[graph.inputs[0]]
    if (rate_hz := sound_rate(graph)) is not None:
        return rate_hz
    channels = kind.size // max(kind.shape)
    period_s = None if graph.stream is None else graph.stream.period_s
    if len(graph.inputs) == 1 and channels == 1 and period_s and 1000 <= 1 / period_s <= 192_000:
        return round(1 / period_s)
    what = "frames of features" if graph.stream else "rows of values"
    sent = "`edgeq profile --stream X.npz`" if graph.stream else "`edgeq profile --data X.npz`"
    shape = ", ".join(map(str, kind.shape))
    raise BadInput(
        f"the model takes {what} ({shape}), not samples of sound; send them with {sent}, or begin "
        "the model with nn.LogMel, which makes features on the board, and export it again"
    )


def _hop(hop: str | None, rate_hz: int, row: int) -> int:
    if hop is None:
        return row
    exact = read_quantity("--hop", hop, SECONDS) * rate_hz
    if not 1 <= exact <= row or abs(exact - round(exact)) > _WHOLE * exact:
        raise BadInput(
            f"--hop {hop} is {exact:.6g} samples at {rate_hz:,} Hz; give a whole number of them, "
            f"up to the window's {row:,} ({row / rate_hz * 1e3:g}ms)"
        )
    return round(exact)


def names_of(graph: Graph, report: dict[str, Any], labels: Sequence[str] | None) -> tuple[str, ...]:
    """A printable name for each class. Raises BadInput for another number of `labels`."""
    classes = outputs_of(graph).ports[0].size
    named = labels or report.get("class_names") or [f"class {i}" for i in range(classes)]
    if len(named) != classes:
        raise BadInput(f"--labels holds {len(named)} names, the model has {classes} classes")
    return tuple(map(one_line, named))
