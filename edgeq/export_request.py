"""What to export: one value from the options of `edgeq export` to its report."""

from dataclasses import dataclass
from pathlib import Path

from edgeq.board import target_board
from edgeq.emit.mlperf import fitting_task
from edgeq.errors import BadInput
from edgeq.estimating import Budget, Identity
from edgeq.export_folder import check_free
from edgeq.ir.c_names import c_name
from edgeq.ops.op import Array
from edgeq.passes import Quantized
from edgeq.reference import quantize_rows
from edgeq.sources import Source
from edgeq.toolchain import find_compiler

OBJECTIVES = ("latency", "size")


@dataclass(frozen=True)
class ExportRequest:
    """Each field is the argument of `edgeq.export` that has its name; `budget` is four of them."""

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

    def check(self) -> None:
        """BadInput or Toolchain for what can be told before the model is read."""
        if self.objective not in OBJECTIVES:
            known = ", ".join(OBJECTIVES)
            raise BadInput(f"objective {self.objective!r} is not one of {known}")
        target_board(self.target)
        find_compiler(self.compiler)
        check_free(self.out)
        if self.name is not None:
            c_name("", self.name)

    @property
    def features(self) -> frozenset[str]:
        """What kernels may use of the core: for size none is worth its code."""
        return target_board(self.target).features if self.objective == "latency" else frozenset()

    def quantized(self, model: Source, x: Array) -> tuple[Quantized, Identity]:
        """The lowered model, calibrated on rows x (rows, *graph shape) float, and what it is of.

        BadInput for a model that does not have the shapes of the benchmark `mlperf`.
        """
        quantized = model.quantized(x, self.method, self.features, self.name)
        return quantized, Identity(
            model.name,
            model.digest,
            quantize_rows(quantized.graph, x),
            self.target,
            find_compiler(self.compiler),
            self.mlperf,
            model.class_names,
            self.weights_as,
            tuple(fitting_task(quantized.graph, self.mlperf)) if self.mlperf else (),
        )
