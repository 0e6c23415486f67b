"""What an export starts from: a trained model, a .tflite or an .onnx file, by content.

Both have what the pipeline asks for, so that it needs no branch.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeq.arrays import (
    Layout,
    Shapes,
    graph_rows,
    input_arrays,
    parts,
    read_shape,
    rows_of_file,
)
from edgeq.errors import BadInput, ModelFile
from edgeq.files import scratch_folder
from edgeq.float_files import INTEGERS, model_in
from edgeq.frontend.tflite_file import is_onnx, is_tflite
from edgeq.imported import Imported, own_source
from edgeq.ir import Graph
from edgeq.ir.c_names import c_name
from edgeq.ir.ports import LABELS
from edgeq.ops.op import Array
from edgeq.passes import Quantized
from edgeq.plan_file import read_plan
from edgeq.prove.check import Check
from edgeq.task import Task, checked_task, read_class_names

if TYPE_CHECKING:
    from edgeq.nn import Model

Shape = Sequence[int]


@dataclass(frozen=True)
class Origin:
    """What a model was before the export changed it: quantised it, or gave its classes names.

    `digest`: of the file, or of an object as a file. `calibration`: of the rows that it was
    quantised on, None for the stored ones. `keep`: kinds of layers that are others than `weights`.
    """

    digest: str
    weights: str | None
    ptq: str
    calibration: str | None
    keep: dict[str, str] | None = None

    @property
    def entry(self) -> dict[str, Any]:
        """`origin` of export.json."""
        return asdict(self)


@dataclass(frozen=True)
class Trained:
    """A saved edgeq.nn.Model."""

    digest: str
    model: "Model"
    path: Path | None = None  # None for an object
    origin: Origin | None = None  # of one that the export changed first
    task: Task | None = None  # None: its shapes tell
    window: None = None

    @property
    def layout(self) -> Layout:
        return self.model.layout

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.model.input_shape

    @property
    def inputs(self) -> Shapes:
        return self.model.inputs

    @property
    def class_names(self) -> tuple[str, ...] | None:
        return self.model.class_names

    @property
    def evaluation(self) -> dict[str, Array] | None:
        """The stored evaluation set, as `profile --data` reads it."""
        if self.model.evaluation is None:
            return None
        x, y = self.model.evaluation
        held = parts(x, self.inputs)
        named = held if len(held) > 1 else {"x": x}
        return {**named, LABELS: y}

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the model."""
        return self.model.stored_wider

    def method(self, asked: str) -> str:
        """How its activations get their ranges."""
        return asked

    def rows(self, calibration: Path | None) -> Array:
        """Calibration rows in the graph's layout. Raises BadInput for none, or constant ones."""
        if calibration is not None:
            rows = given_rows(self, calibration)
        elif self.model.calibration is not None:
            stored = "the stored calibration set"
            held = parts(self.model.calibration, self.inputs)
            rows = graph_rows(held, self.inputs, stored, self.layout)
        else:
            what = self.path or f"model {self.name!r}"
            raise BadInput(
                f"{what} stores no calibration set; pass --calibration X.npz (key x, at least a "
                "few dozen real rows), or from Python model.calibrate(x)"
            )
        if rows.min() == rows.max():
            raise BadInput(
                f"the calibration rows are constant ({rows.flat[0]}): they give no range"
            )
        return rows

    def quantized(
        self, x: Array, method: str, features: frozenset[str], name: str | None
    ) -> Quantized:
        """The lowered graph, calibrated on rows x; `name` begins its C names."""
        from edgeq.frontend.torch_loader import graph_of
        from edgeq.passes import quantize

        graph = replace(graph_of(self.model), name=c_name(self.name, name))
        return quantize(graph, x, method, features)

    def check(self, graph: Graph, x: Array, *, anew: bool) -> Check:
        """The trained model against the graph's integers. `anew`: x are not its stored rows."""
        from edgeq.prove.export import MODEL_ROWS
        from edgeq.prove.model import check_model
        from edgeq.prove.trained import settle

        settle(self.model, graph, x, anew=anew)
        return check_model(self.model, graph, x[:MODEL_ROWS], task=self.task)


Source = Trained | Imported


def source_of(given: "str | Path | Model", input_shape: Shape | str | None = None) -> Source:
    """A model, or that in a file. Raises BadInput, ModelFile and UnsupportedOp, naming the file.

    `input_shape`, without the batch: of an .onnx file that leaves sizes open.
    """
    if not isinstance(given, str | Path):
        return _of_object(given)
    where = Path(given)
    own = own_source(where)
    if own is not None:
        return own
    if is_tflite(where):
        from edgeq.frontend.tflite_loader import is_float_file, load_tflite

        if is_float_file(where):
            from edgeq.frontend.tflite_float import load_float_tflite

            found, data = load_float_tflite(where)
            return Trained(hashlib.sha256(data).hexdigest(), model_in(found), where)
        graph, data = load_tflite(where)
        return Imported(where, hashlib.sha256(data).hexdigest(), data, graph)
    if is_onnx(where):
        from edgeq.frontend.onnx_loader import load_onnx

        found, data = load_onnx(where, read_shape(input_shape))
        return Trained(hashlib.sha256(data).hexdigest(), model_in(found), where)
    from edgeq.nn import load

    model = load(where)
    return Trained(hashlib.sha256(where.read_bytes()).hexdigest(), model, where)


def _of_object(given: object) -> Trained:
    """An edgeq.nn.Model as the file that edgeq.save would write, read back: its digest is that."""
    from edgeq.nn import load, save

    with scratch_folder() as folder:
        file = folder / "model.pt"
        save(given, file)  # type: ignore[arg-type]  # it refuses anything else, with advice
        return Trained(hashlib.sha256(file.read_bytes()).hexdigest(), load(file))


def model_of(path: Path, input_shape: Shape | str | None = None) -> "Model":
    """The model in a file, to be quantised. Raises BadInput for one of integers, as `source_of`."""
    return _as_float(source_of(path, input_shape)).model


def _as_float(source: Source) -> Trained:
    """The source of a float model. Raises BadInput for a file of integers."""
    if isinstance(source, Imported):
        raise BadInput(f"{source.path} {INTEGERS}")
    return source


def with_task(source: Source, task: object) -> Source:
    """The source with a task that was stated at its export. BadInput for another word, and for
    class names of what is no classification.
    """
    own = source.model.task if isinstance(source, Trained) else None
    stated = checked_task(task) or own
    if source.class_names and stated not in (None, "classification"):
        raise BadInput(f"class names are of a classification, the task is {stated}")
    return replace(source, task=stated)


def requantized(
    given: "str | Path | Model",
    weights: str | None,
    ptq: str,
    calibration: Path | None,
    labels: Path | None,
    input_shape: Shape | str | None = None,
    plan: str | Path | None = None,
) -> Source:
    """The source of `given`, or of its model quantised after training and with class names, where
    that is asked; its `origin` says so.

    `labels` is a text file with a name a line, `plan` a file of widths in place of `weights`.
    Raises BadInput, as `nn.quantize`.
    """
    if weights is not None and plan is not None:
        raise BadInput("--weights and --plan both say which widths; give one of them")
    source = source_of(given, input_shape)
    if weights is None and labels is None and plan is None:
        return source
    before, keep = _as_float(source), None
    if plan is not None:
        weights, keep = planned(before.model, plan)
    return _changed(before, weights, ptq, calibration, labels, keep)


def planned(model: "Model", plan: str | Path) -> tuple[str, dict[str, str]]:
    """`weights` and `keep` of nn.quantize for the plan in a file. BadInput, as `read_plan`, and for
    layers that the model has not, or that the plan lacks.
    """
    from edgeq.nn.post_training import weighted_layers

    widths = read_plan(plan).for_layers(weighted_layers(model), plan)
    kinds = list(widths.values())
    most = max(kinds, key=kinds.count)
    return most, {name: kind for name, kind in widths.items() if kind != most}


def _changed(
    before: Trained,
    weights: str | None,
    ptq: str,
    calibration: Path | None,
    labels: Path | None,
    keep: dict[str, str] | None = None,
) -> Source:
    """The model of a source quantised and named, as `requantized` says."""
    model, x = before.model, None
    if weights is not None:
        from edgeq.nn import quantize

        x = None if calibration is None else input_arrays(calibration, model.inputs)
        model = quantize(model, x, weights, keep, ptq=ptq)
    if labels is not None:
        model.name_classes(read_class_names(labels))
    origin = Origin(before.digest, weights, ptq, None if x is None else _rows_digest(x), keep)
    return replace(_of_object(model), origin=origin)


def _rows_digest(x: Mapping[str, Array]) -> str:
    """Of the arrays of all inputs, in their order."""
    found = hashlib.sha256()
    for rows in x.values():
        found.update(np.ascontiguousarray(rows).tobytes())
    return found.hexdigest()


def given_rows(source: Source, path: Path) -> Array:
    """The rows of an .npz file (key x, or one array an input), in the graph's layout."""
    return rows_of_file(path, source.inputs, source.layout)


def check_source(
    path: Path,
    digest: str,
    graph: Graph,
    *,
    origin: Mapping[str, Any] | None = None,
    calibration: Path | None = None,
    task: str | None = None,
    input_shape: Shape | None = None,
) -> Check:
    """The proof of a model file against an export's graph.

    With `origin`, of the export, the file is that model or the one before, which is quantised once
    more on the same rows. Raises ModelFile for another model's file or other rows, BadInput where
    rows are missing.
    """
    source = source_of(path, input_shape if is_onnx(path) else None)
    if origin is not None and source.digest == origin["digest"]:
        source = _once_more(_as_float(source), path, origin, calibration)
    elif source.digest != digest:
        made_from = f", made from {origin['digest']}" if origin is not None else ""
        raise ModelFile(
            f"{path} has digest {source.digest}, the export is of {digest}{made_from}; export it "
            "again"
        )
    source = with_task(source, task)
    return source.check(graph, source.rows(calibration), anew=calibration is not None)


def _once_more(
    before: Trained, path: Path, origin: Mapping[str, Any], calibration: Path | None
) -> Source:
    """The model of a file quantised as the export did, where it did."""
    if origin["weights"] is None:
        return before
    wanted = origin["calibration"]
    if wanted is not None and calibration is None:
        raise BadInput(
            f"the export quantised {path} on rows of its own; pass them again: --calibration X.npz"
        )
    given = calibration if wanted is not None else None
    if given is not None and _rows_digest(input_arrays(given, before.inputs)) != wanted:
        raise ModelFile(f"{given} holds other rows than those that the export quantised {path} on")
    return _changed(before, origin["weights"], origin["ptq"], given, None, origin.get("keep"))
