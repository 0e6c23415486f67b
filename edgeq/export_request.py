"""What to export: one value from the options of `edgeq export` to its report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.arrays import class_labels, has_key, read_npz, row_groups
from edgeq.board import is_core, target_board
from edgeq.emit.mlperf import fitting_task
from edgeq.emit.package import read_formats
from edgeq.errors import BadInput
from edgeq.estimating import (
    Budget,
    Costed,
    Identity,
    Promised,
    deadline_entry,
    hop_seconds,
)
from edgeq.estimating.count_cache import CountCache, default_path
from edgeq.estimating.fastest import Watch, choice_words, fastest_kernels
from edgeq.estimating.power import power_entry
from edgeq.export_folder import check_free
from edgeq.ir import Graph
from edgeq.ir.c_names import c_name
from edgeq.ir.graph import Place
from edgeq.ir.ports import ends_in_map, inputs_of, outputs_of, result_tensors
from edgeq.ops.op import Array
from edgeq.ops.routed import routed_node
from edgeq.reference import quantize_rows
from edgeq.sources import Source, given_rows
from edgeq.streaming import Exported, Streamed, StreamRequest, streamed
from edgeq.task import Task
from edgeq.thresholds import Promise
from edgeq.thresholds.risk import read_share
from edgeq.toolchain import find_compiler

OBJECTIVES = ("latency", "measured", "size")


def check_task(graph: Graph, task: Task | None) -> None:
    """BadInput for a task that the model's shapes rule out."""
    result = outputs_of(graph).ports[0].size
    if task == "classification" and (result == 1 or ends_in_map(graph)):
        shape = graph.tensors[result_tensors(graph)[0]].shape
        raise BadInput(
            f"a classification answers one row of two or more classes; this model answers {shape}. "
            "State another --task"
        )
    if task == "autoencoder" and result != inputs_of(graph).values:
        raise BadInput(
            f"an autoencoder answers its input; this model takes {inputs_of(graph).values} values "
            f"and answers {result}. State another --task"
        )


@dataclass(frozen=True)
class PromiseRequest:
    """A promise of agreement with the most precise expert, and the file that shall prove it."""

    promise: Promise
    data: Path

    @classmethod
    def read(
        cls, most: str | None, confidence: str | None, data: Path | None
    ) -> "PromiseRequest | None":
        """From the texts of the command line; BadInput when one of them lacks another."""
        if most is None and confidence is None and data is None:
            return None
        if most is None:
            raise BadInput("--confidence and --threshold-data go with --max-disagreement, as 2%")
        share = read_share("--max-disagreement", most)
        promise = Promise(share, read_share("--confidence", confidence or "95%"))
        if data is None:
            raise BadInput(
                f"--max-disagreement {most} is proven on rows that no training saw: pass them with "
                f"--threshold-data X.npz (key x), {promise.rows_needed} rows or more"
            )
        return cls(promise, data)

    def rows(self, model: Source, calibration: Array, graph: Graph) -> Promised:
        """The rows as int8; one of each group, drawn by a fixed seed, where the file has groups.

        BadInput for rows that calibrated the model, or too few different.
        """
        x = given_rows(model, self.data)
        rows, kept = len(x), self._one_a_group(len(x))
        known = {row.tobytes() for row in calibration}
        shared = sum(row.tobytes() in known for row in x)
        if shared:
            raise BadInput(
                f"{shared} of the {len(x)} rows of {self.data} are calibration rows too, which "
                "prove nothing; give rows that neither training nor calibration saw"
            )
        x = x[kept]
        different = len({row.tobytes() for row in x})
        if different < self.promise.rows_needed:
            of = "" if len(kept) == rows else f" from {len(kept)} groups"
            raise BadInput(
                f"{self.data} holds {different} different rows{of}; a disagreement below "
                f"{self.promise.limit:.4g} with {self.promise.confidence:.4g} confidence takes "
                f"{self.promise.rows_needed} rows even if none disagrees; give more rows, or allow "
                "more disagreement"
            )
        labels = self._labels(rows, graph)
        labels = None if labels is None else labels[kept]
        return Promised(self.promise, quantize_rows(graph, x), self.data.name, labels)

    def _one_a_group(self, rows: int) -> Array:
        """Indices of rows that come from sources of their own: a test counts those."""
        groups = row_groups(self.data, rows)
        if groups is None:
            return np.arange(rows)
        drawn = np.random.default_rng(0).permutation(rows)
        return np.sort(drawn[np.unique(groups[drawn], return_index=True)[1]])

    def _labels(self, rows: int, graph: Graph) -> Array | None:
        if not has_key(self.data, "y"):
            return None
        classes = int(np.prod(graph.tensors[graph.outputs[0]].shape))
        return class_labels(read_npz(self.data, "y")[0], rows, classes, str(self.data))


def read_limits(
    costs: Sequence[str | None], most: str | None, confidence: str | None, data: Path | None
) -> tuple[Budget, PromiseRequest | None]:
    """From the texts of `Budget.read` and `PromiseRequest.read`, in their order; raises as both."""
    return Budget.read(*costs), PromiseRequest.read(most, confidence, data)


@dataclass(frozen=True)
class ExportRequest:
    """Each field is the argument of `edgeq.export` that has its name; `budget` is four of them,
    `promise` three.
    """

    target: str
    out: Path
    calibration: Path | None
    method: str
    compiler: str
    objective: str
    budget: Budget
    mlperf: str | None = None
    name: str | None = None
    weights_as: str = "auto"
    promise: PromiseRequest | None = None
    package: Sequence[str] | str | None = None
    stream: str | None = None
    lookahead: bool = False
    hop: str | None = None
    carry: bool = False
    hold: int | None = None

    @property
    def formats(self) -> tuple[str, ...]:
        """Of the library; BadInput for one that is none."""
        return read_formats(self.package)

    def checked(self) -> "ExportRequest":
        """Itself; BadInput or Toolchain for what can be told before the model is read."""
        if self.objective not in OBJECTIVES:
            known = ", ".join(OBJECTIVES)
            raise BadInput(f"objective {self.objective!r} is not one of {known}")
        target_board(self.target)
        find_compiler(self.compiler)
        StreamRequest.read(self.stream, self.lookahead, self.carry)
        check_free(self.out)
        if self.name is not None:
            c_name("", self.name)
        if self.formats and self.weights_as == "binary":
            raise BadInput("--package writes C alone; leave out --weights-as binary")
        return self

    @property
    def features(self) -> frozenset[str]:
        """What kernels may use of the core: for size none is worth its code."""
        return frozenset() if self.objective == "size" else target_board(self.target).features

    def budgeted(self, graph: Graph) -> Budget:
        """The budget, with how often a row comes where that is known."""
        return self.budget.every(hop_seconds(graph, self.hop))

    def power(self, costed: Costed, of: Identity) -> dict[str, Any] | None:
        """The mean power over the calibration rows as a stream; None where hops have no time, or
        the board no figures.
        """
        hop_s, board = hop_seconds(costed.compiled.graph, self.hop), of.lender
        if hop_s is None or costed.cost is None or board.energy is None:
            return None
        node = routed_node(costed.compiled.graph)
        hold = 0 if node is None else node.attrs.hold
        return power_entry(costed.cost["expected"], hop_s, board, board.energy, hold)

    def streamed(self, source: Source) -> Streamed:
        """One step of the source's stream, which is asked for."""
        hop = StreamRequest.read(self.stream, self.lookahead, self.carry)
        assert hop is not None
        return streamed(source, hop, self.calibration, self.method, self.features)

    def tuned(
        self, graph: Graph, of: Identity, watch: Watch | None
    ) -> tuple[Mapping[Place, str], Identity]:
        """The kernels that take the fewest cycles on the target where that is asked for, and notes
        of them.
        """
        if self.objective != "measured":
            return {}, of
        cache = CountCache.opened(default_path())
        kernels, choices = fastest_kernels(graph, of.board, of.compiler, cache, watch)
        return kernels, replace(of, notes=(*of.notes, *choice_words(choices)))

    def deadline(self, costed: Costed) -> dict[str, Any] | None:
        """Whether the worst case fits in a hop, of a board; None where no hop has a time, and of a
        bare core that --hop does not ask of. CostBudget where it does not, BadInput without cost.
        """
        hop_s = hop_seconds(costed.compiled.graph, self.hop)
        if self.hop is not None and costed.cost is None:
            raise BadInput(f"--hop cannot be proven here: {costed.no_cost}")
        asked = self.hop is not None or not is_core(self.target)
        if hop_s is None or costed.cost is None or not asked:
            return None
        return deadline_entry(costed.cost, costed.compiled.layers, hop_s)

    def promised(self, model: Exported, x: Array, graph: Graph) -> Promised | None:
        """The promise with its rows, if one is asked for; `x` are the calibration rows."""
        if self.promise is None:
            return None
        if isinstance(model, Streamed):
            raise BadInput(
                "--max-disagreement is proven on whole windows: export them without --stream, and "
                "build the stream's model with the thresholds that it says"
            )
        return self.promise.rows(model, x, graph)

    def identity(self, model: Exported, graph: Graph, x: Array) -> Identity:
        """Of the model and its lowered graph; x (rows, *graph shape) float: calibration rows.

        BadInput for a model that does not have the shapes of its task or of the benchmark `mlperf`.
        """
        check_task(graph, model.task)
        return Identity(
            model.name,
            model.digest,
            quantize_rows(graph, x),
            self.target,
            find_compiler(self.compiler),
            self.mlperf,
            model.class_names,
            "c" if self.formats and self.weights_as == "auto" else self.weights_as,
            tuple(fitting_task(graph, self.mlperf)) if self.mlperf else (),
        )
