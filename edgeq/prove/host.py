"""Trials through the host build of a firmware's own sources."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from edgeq.emit.firmware_layers import mixture_of
from edgeq.errors import Mismatch
from edgeq.firmware_project import FirmwareProject
from edgeq.ir import Graph
from edgeq.ir.c_names import c_prefix
from edgeq.ir.ports import inputs_of, outputs_of
from edgeq.prove.trials import Answer, Trial
from edgeq.toolchain.host import build_host, run_host


def host_runner(
    graph: Graph, project: FirmwareProject, folder: Path
) -> Callable[[Sequence[Trial]], Iterable[Answer]]:
    """Builds in `folder`; the runner answers all trials in one process. Raises Toolchain."""
    program = build_host(project, c_prefix(graph.name), folder)
    node = mixture_of(graph)
    own = bytes(range(len(node.attrs.experts))) if node else b""
    inputs, outputs = inputs_of(graph), outputs_of(graph).extent

    def run(asked: Sequence[Trial]) -> Iterator[Answer]:
        orders = (own if t.order is None else bytes(t.order) for t in asked)
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
