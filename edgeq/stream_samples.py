"""A recording as the hops of a stream: what `edgeq profile --stream` sends."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.arrays import CHANNELS_FIRST, graph_rows, hops, own_axis, read_npz, windows
from edgeq.errors import BadInput
from edgeq.harness.manifest import Data
from edgeq.ir import Graph, Stream
from edgeq.ops.op import Array, with_entry
from edgeq.passes.stream import time_axis
from edgeq.profile_samples import Samples, digest_of
from edgeq.reference import quantize_rows
from edgeq.reporting.task import UNLABELLED


def read_recording(
    source: Path, report: Mapping[str, Any], graph: Graph, hop: int | None = None
) -> Samples:
    """Key x of an .npz file: one recording, in the model's own order of axes and as long as it is,
    or several of them along an axis in front, one after another. Frames that fill no hop are left
    away. `hop`, in frames: of a model of whole windows, from one window to the next.

    BadInput for other shapes, fewer frames than an answer takes, and a hop that is missing, does
    not belong there, or lies outside the window.
    """
    own_shape, layout = tuple(report["input_shape"]), report.get("input_layout", CHANNELS_FIRST)
    stream, first = _paced(report, graph, hop)
    axis = own_axis(len(own_shape), stream.axis, layout)
    (given,) = read_npz(source, "x")
    x = _joined(given, own_shape, axis, str(source))
    if graph.stream is None:
        size = own_shape[axis]
        rows = windows(x, axis, size, range(size, x.shape[axis] + 1, stream.hop))
    else:
        rows = hops(x[None], axis, stream.hop)
    if len(rows) <= first:
        raise BadInput(
            f"{source} holds {x.shape[axis]} frames; the first answer takes {stream.window}"
        )
    real = graph_rows({"input": rows}, {"input": own_shape}, str(source), layout)
    codes = quantize_rows(graph, real)
    labels = np.full(len(codes), UNLABELLED, np.int64)
    digests = digest_of(np.asarray(given, np.float32), labels), digest_of(codes, labels)
    origin = Data(source=str(source), digest=digests[0], input_digest=digests[1])
    return Samples(codes, labels, origin, "unlabelled", stream=stream, begins=first)


def _paced(report: Mapping[str, Any], graph: Graph, hop: int | None) -> tuple[Stream, int]:
    """How the model takes a recording, and the row of its first answer. A window's hop has the time
    that the export was asked to keep, if it was.
    """
    if graph.stream is not None:
        if hop is not None:
            raise BadInput(
                f"--hop {hop}: this export takes hops of {graph.stream.hop}; leave --hop out, or "
                f"export another with --stream hop={hop}"
            )
        return graph.stream, graph.stream.first
    if len(graph.inputs) > 1:
        raise BadInput(f"a recording is of one input, {graph.name!r} has {len(graph.inputs)}")
    shape = graph.tensors[graph.inputs[0]].shape
    axis = time_axis(shape)
    if hop is None:
        raise BadInput(
            "--stream and an export of whole windows: say with --hop N how many frames there are "
            "from one to the next, give windows with --data, or export one step with "
            "`edgeq export --stream hop=1`"
        )
    if not 1 <= hop <= shape[axis]:
        raise BadInput(f"--hop {hop}: give frames, 1 to {shape[axis]}, which is the whole window")
    hop_s = (report.get("deadline") or {}).get("hop_s")
    return Stream(hop, shape[axis], 0, hop_s and hop_s / hop, axis), 0


def _joined(x: Array, hop_shape: tuple[int, ...], axis: int, where: str) -> Array:
    """The recordings behind one another along the axis of time."""
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
    return np.concatenate(list(several), axis=axis)
