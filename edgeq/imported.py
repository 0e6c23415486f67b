"""Files of integers that an export starts from: a .tflite, or what edgeq wrote with experts."""

from dataclasses import dataclass, replace
from pathlib import Path

from edgeq.arrays import CHANNELS_LAST, Layout, Shapes, rows_of_file
from edgeq.errors import UnsupportedOp
from edgeq.frontend.own_form import ONNX, OwnForm, own_form
from edgeq.ir import Graph
from edgeq.ir.c_names import c_name
from edgeq.ir.ports import input_names, row_shape
from edgeq.ops.op import Array
from edgeq.passes import Quantized
from edgeq.prove.check import Check
from edgeq.task import Task
from edgeq.version import __version__

AS_IN_THE_FILE = "the file's own"  # in place of a calibration method


@dataclass(frozen=True)
class Imported:
    """A .tflite file: `graph` is lowered, with the file's integers; it brings no data."""

    path: Path
    digest: str
    data: bytes
    graph: Graph
    layout: Layout = CHANNELS_LAST
    class_names: tuple[str, ...] | None = None
    evaluation: dict[str, Array] | None = None
    notes: tuple[str, ...] = ()
    origin: None = None
    task: Task | None = None
    window: None = None

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def input_shape(self) -> tuple[int, ...]:
        return row_shape(self.graph)

    @property
    def inputs(self) -> Shapes:
        names = zip(input_names(self.graph), self.graph.inputs, strict=True)
        return {name: self.graph.tensors[tensor].shape for name, tensor in names}

    def method(self, _asked: str) -> str:
        """How its activations got their ranges."""
        return AS_IN_THE_FILE

    def rows(self, calibration: Path | None) -> Array:
        """Rows to run proofs and estimates on: the user's, else seeded ones."""
        from edgeq.frontend.tflite_loader import seeded_rows

        if calibration is None:
            return seeded_rows(self.graph)
        return rows_of_file(calibration, self.inputs, self.layout)

    def quantized(
        self, _x: Array, _method: str, features: frozenset[str], name: str | None
    ) -> Quantized:
        """The graph with its kernels chosen; nothing is calibrated."""
        from edgeq.passes.select_kernels import select_kernels

        graph = select_kernels(self.graph, features)
        return Quantized(replace(graph, name=c_name(self.name, name)), None, None)

    def check(self, graph: Graph, x: Array, *, anew: bool) -> Check:  # noqa: ARG002
        """The file itself, in LiteRT, against the graph's integers."""
        from edgeq.prove.export import CHECKED_ROWS
        from edgeq.prove.imported import check_imported

        return check_imported(self.data, graph, x[:CHECKED_ROWS], self.task)


@dataclass(frozen=True)
class Own(Imported):
    """A file that an export wrote, of a graph with experts: digest and names are of its model."""

    form: str = ONNX
    model_name: str = ""

    @property
    def name(self) -> str:
        return self.model_name

    def quantized(
        self, x: Array, _method: str, features: frozenset[str], name: str | None
    ) -> Quantized:
        """The graph with its kernels chosen; what its rule does is seen on rows x."""
        from edgeq.passes import as_frozen

        graph = self.graph if name is None else replace(self.graph, name=c_name("", name))
        return as_frozen(graph, x, features)

    def check(self, graph: Graph, x: Array, *, anew: bool) -> Check:  # noqa: ARG002
        """The file itself, in its interpreter, against the graph's integers."""
        from edgeq.prove.export import CHECKED_ROWS
        from edgeq.prove.imported import check_own

        return check_own(self.data, self.form == ONNX, graph, x[:CHECKED_ROWS], self.task)


def own_source(path: Path) -> Own | None:
    """The source in a file that an export wrote of a graph with experts; None for any other file.

    Raises ModelFile for a damaged note, UnsupportedOp for a file that is not what edgeq writes of
    that graph.
    """
    own = own_form(path)
    if own is None:
        return None
    try:
        emitted = _emitted(own)
    except Exception:  # whatever a graph that makes no sense makes the writers raise
        emitted = b""
    if emitted != own.data:
        by = own.about.version[:20]
        other = f"was written by edgeq {by}, this is {__version__}" if by != __version__ else ""
        raise UnsupportedOp(
            f"{path}: its experts stand under If and it {other or 'was changed since'}: only what "
            "edgeq itself writes is taken back; give the model file, or its export's own "
            f"model.{own.form}"
        )
    about = own.about
    return Own(
        path,
        about.digest,
        own.data,
        own.graph,
        class_names=about.class_names or None,
        form=own.form,
        model_name=about.name,
    )


def _emitted(own: OwnForm) -> bytes:
    """The file of the graph in the note, as an export writes it."""
    given = (own.graph, own.about.name, own.about.digest, own.about.class_names)
    if own.form == ONNX:
        from edgeq.emit.onnx_model import onnx_model

        return bytes(onnx_model(*given).SerializeToString())
    from edgeq.emit.tflite_model import tflite_model

    return tflite_model(*given)
