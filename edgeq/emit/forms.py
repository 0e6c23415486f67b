"""The two files of a lowered graph that other runtimes read."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgeq.emit.onnx_model import onnx_model
from edgeq.emit.tflite_model import tflite_model
from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph


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
    """Both files, with the model's name and digest. UnsupportedOp: an op has no ONNX form."""
    onnx = onnx_model(graph, name, digest, class_names).SerializeToString()
    try:
        return Forms(onnx, tflite_model(graph, name, digest, class_names))
    except UnsupportedOp as error:
        return Forms(onnx, None, (f"no .tflite: {error}",))
