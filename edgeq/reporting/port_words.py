"""The inputs and outputs of a model, and what it keeps, for a terminal and a page."""

import math

import numpy as np

from edgeq.harness.profile_summary import ExportFacts
from edgeq.strict import PortEntry

COLUMNS = ("name", "shape", "type", "bytes", "a step", "zero")


def port_rows(export: ExportFacts | None) -> list[tuple[str, ...]]:
    """A row of `COLUMNS` an input, an output, and for the state; none where an export told none."""
    if export is None:
        return []
    sides = (("in", export.inputs or ()), ("out", export.outputs or ()))
    rows = [_row(f"{side} {port.name}", port) for side, ports in sides for port in ports]
    if export.state_bytes:
        rows.append(("state", "-", "-", f"{export.state_bytes:,}", "-", "-"))
    return rows


def _row(name: str, port: PortEntry) -> tuple[str, ...]:
    """`a step`: what one code is worth."""
    size = math.prod(port.shape) * np.dtype(port.dtype).itemsize
    shape = " x ".join(map(str, port.shape))
    return name, shape, port.dtype, f"{size:,}", f"{port.scale:.6g}", str(port.zero_point)
