"""Run folders written by hand, as a profile leaves them."""

import json
from collections.abc import Sequence
from pathlib import Path

from edgeq.board import load_board
from edgeq.emit.firmware import LayerInfo
from edgeq.harness.manifest import Data
from edgeq.harness.messages import Info, plain_ports
from edgeq.harness.record import SampleRecord
from edgeq.harness.trace_writer import create_run
from edgeq.reporting.profile import Profiled, summarize
from edgeq.run_manifest import run_manifest

CLOCK_HZ = 100_000_000


def record(index: int, cycles: int, right: bool = True, route: int = 0) -> SampleRecord:
    """Label 0; the answer is 0 or 1."""
    output = (100, -100) if right else (-100, 100)
    return SampleRecord(index, 0, output, route, 0.1, 0.9, cycles, 400, (cycles,), False)


def write_run(
    folder: Path,
    records: Sequence[SampleRecord],
    board: str = "virtual_m4",
    data: str = "d" * 64,
    flash_bytes: int | None = None,
) -> Path:
    """A finished run in `folder`; a firmware that edgeq did not build has no `flash_bytes`."""
    info = Info(1, 1, CLOCK_HZ, 4, 2, 1, "a" * 64, "b" * 64, board, "pets", *plain_ports(4, 2))
    layers = (LayerInfo(0, "fc", "fully_connected", "k", "s8", 10, 10, None),)
    build = {"compiler": "gcc 12", "flags": ["-O2"]}
    build |= {} if flash_bytes is None else {"flash_bytes": flash_bytes, "ram_bytes": 9_000}
    subject = Profiled(info, load_board(board), layers, ("small", "large"), ("cat", "dog"), build)
    source = Data(source="pets.npz", digest=data, input_digest=data)
    with create_run(folder, run_manifest(subject, (4,), source, len(records))) as writer:
        for item in records:
            writer.add(item)
        writer.end()
    (folder / "profile.json").write_text(json.dumps(summarize(subject, records).entry))
    return folder
