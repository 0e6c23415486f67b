"""The proof of a model file against an export's graph."""

import hashlib
from pathlib import Path

from edgeq import nn
from edgeq.arrays import model_rows
from edgeq.emit.firmware_layers import mixture_of
from edgeq.errors import BadInput, ModelFile
from edgeq.estimating import Estimated
from edgeq.frontend.torch_answers import with_strength
from edgeq.ir import Graph
from edgeq.ops.op import Array
from edgeq.prove.check import Check
from edgeq.prove.export import MODEL_ROWS
from edgeq.prove.model import check_model


def check_trained(path: Path, export: Estimated) -> Check:
    """On the file's calibration rows. Raises ModelFile when the export is of another file."""
    model = nn.load(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != export.digest:
        raise ModelFile(
            f"{path} has digest {digest}, the export is of {export.digest}; export it again"
        )
    if model.calibration is None:
        raise BadInput(f"{path} stores no calibration set to run its proof on")
    x = model_rows(model.calibration, model.input_shape, "the stored calibration set")
    settle(model, export.graph, x)
    return check_model(model, export.graph, x[:MODEL_ROWS])


def settle(model: nn.Model, graph: Graph, calibration: Array, *, anew: bool = False) -> None:
    """Curiosity of the PyTorch model as `graph` ships it: weakened, or frozen for the first time.

    `anew`: other rows than the stored ones calibrated the graph. Where none of these holds the
    model is compared as it was saved.
    """
    node = mixture_of(graph)
    if node is None:
        return
    router = node.attrs.router
    strengths = {(m.alpha, m.quantile) for m in model.mixtures}
    unfrozen = any(not mixture.curious for mixture in model.mixtures)
    if anew or unfrozen or strengths != {(router.alpha, router.quantile)}:
        with_strength(model, router, calibration)
