"""A recording as the hops of a stream: what `edgeq profile --stream` sends."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.arrays import CHANNELS_FIRST, graph_rows, hops, own_axis, read_npz
from edgeq.errors import BadInput
from edgeq.harness.manifest import Data
from edgeq.ir import Graph
from edgeq.ops.op import Array, with_entry
from edgeq.profile_samples import Samples, digest_of
from edgeq.reference import quantize_rows
from edgeq.reporting.task import UNLABELLED


def read_recording(source: Path, report: Mapping[str, Any], graph: Graph) -> Samples:
    """Key x of an .npz file: one recording, in the model's own order of axes and as long as it is,
    or several of them along an axis in front, one after another. Frames that fill no hop are left
    away. BadInput for other shapes, fewer frames than an answer takes, and an export that is no
    stream.
    """
    if graph.stream is None:
        raise BadInput(
            "--stream takes an export of one step (`edgeq export --stream hop=1`); this one takes "
            "whole windows: give them with --data"
        )
    hop_shape = tuple(report["input_shape"])
    layout = report.get("input_layout", CHANNELS_FIRST)
    axis = own_axis(len(hop_shape), graph.stream.axis, layout)
    (x,) = read_npz(source, "x")
    rows = _cut(x, hop_shape, axis, graph.stream.hop, str(source))
    if len(rows) <= graph.stream.first:
        raise BadInput(
            f"{source} holds {len(rows) * graph.stream.hop} frames; the first answer takes "
            f"{graph.stream.window}"
        )
    real = graph_rows({"input": rows}, {"input": hop_shape}, str(source), layout)
    codes = quantize_rows(graph, real)
    labels = np.full(len(codes), UNLABELLED, np.int64)
    digests = digest_of(np.asarray(x, np.float32), labels), digest_of(codes, labels)
    origin = Data(source=str(source), digest=digests[0], input_digest=digests[1])
    return Samples(codes, labels, origin, "unlabelled")


def _cut(x: Array, hop_shape: tuple[int, ...], axis: int, hop: int, where: str) -> Array:
    """(hops, *hop shape)"""
    several = x if x.ndim == len(hop_shape) + 1 else x[None]
    wanted = with_entry(hop_shape, axis, -1)
    if (
        several.ndim != len(hop_shape) + 1
        or several.size == 0
        or any(n not in (-1, m) for n, m in zip(wanted, several.shape[1:], strict=True))
    ):
        shown = ", ".join("frames" if n < 0 else str(n) for n in wanted)
        raise BadInput(
            f"{where}: x has shape {x.shape}; give a recording ({shown}), or several (N, {shown})"
        )
    return hops(several, axis, hop)
