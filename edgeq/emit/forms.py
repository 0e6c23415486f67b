"""The two files of a lowered graph that other runtimes read."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgeq.emit.onnx_model import onnx_model
from edgeq.emit.tflite_model import tflite_model
from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph
from edgeq.ops.routed import holds, without_hold

HELD = "the hold is the firmware's: .onnx and .tflite choose an expert for each row by itself"


@dataclass(frozen=True)
class Forms:
    """`tflite` is None for a graph that TensorFlow Lite cannot hold; `notes` say why."""

    onnx: bytes
    tflite: bytes | None
    notes: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[bytes, bytes | None]:
        """ONNX and TFLite."""
        return self.onnx, self.tflite


def emit_forms(
    graph: Graph, name: str, digest: str, class_names: Sequence[str] | None = None
) -> Forms:
    """Both files, with the model's name and digest; a `hold` is left out, as the files keep no
    count of rows. UnsupportedOp: an op has no ONNX form.
    """
    held = (HELD,) if holds(graph) else ()
    graph = without_hold(graph) if held else graph
    onnx = onnx_model(graph, name, digest, class_names).SerializeToString()
    try:
        return Forms(onnx, tflite_model(graph, name, digest, class_names), held)
    except UnsupportedOp as error:
        return Forms(onnx, None, (*held, f"no .tflite: {error}"))
