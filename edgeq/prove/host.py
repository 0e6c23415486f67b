"""Trials through the host build of a firmware's own sources."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from edgeq.emit.firmware_layers import mixture_of
from edgeq.errors import Mismatch
from edgeq.firmware_project import FirmwareProject
from edgeq.ir import Graph, Node
from edgeq.ir.c_names import c_prefix
from edgeq.ir.ports import inputs_of, outputs_of
from edgeq.ops.cascade import THRESHOLDS
from edgeq.prove.trials import Answer, Trial
from edgeq.toolchain.host import build_host, run_host


def host_runner(
    graph: Graph, project: FirmwareProject, folder: Path
) -> Callable[[Sequence[Trial]], Iterable[Answer]]:
    """Builds in `folder`; the runner answers all trials in one process. Raises Toolchain."""
    program = build_host(project, c_prefix(graph.name), folder)
    node = mixture_of(graph)
    inputs, outputs = inputs_of(graph), outputs_of(graph).extent

    def run(asked: Sequence[Trial]) -> Iterator[Answer]:
        orders = (_forced(graph, node, t) for t in asked)
        rows = (inputs.pack(t.row) for t in asked)
        data = b"".join(a + b for a, b in zip(orders, rows, strict=True))
        said, size = run_host(program, data), outputs + 8
        if len(said) != size * len(asked):
            raise Mismatch(f"firmware: the host build answers {len(said)} bytes")
        for at in range(0, len(said), size):
            route, doubt = said[at + outputs : at + outputs + 4], said[at + outputs + 4 : at + size]
            order = sys.byteorder
            yield Answer(
                said[at : at + outputs],
                int.from_bytes(route, order, signed=True),
                int.from_bytes(doubt, order),
            )

    return run


def _forced(graph: Graph, node: Node | None, trial: Trial) -> bytes:
    """What the program reads before a row: the order of a mixture's experts, a byte each, or a
    cascade's thresholds, an int32 each.
    """
    if node is None:
        return b""
    if node.op == "Cascade":
        own = graph.param(node, THRESHOLDS).tolist()
        return np.array(own if trial.forced is None else trial.forced, np.int32).tobytes()
    return bytes(range(len(node.attrs.experts)) if trial.forced is None else trial.forced)
