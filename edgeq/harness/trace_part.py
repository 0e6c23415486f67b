"""A full segment of a run as a file: Parquet, or JSON lines where pyarrow is not installed."""

import json
from collections.abc import Sequence
from pathlib import Path

from edgeq.errors import BadInput
from edgeq.extras import installed, require
from edgeq.files import write_file
from edgeq.harness.record import SampleRecord
from edgeq.plain_json import MAX_BYTES, decode_json
from edgeq.ports import Ports

PARQUET, LINES = ".parquet", ".jsonl"
SUFFIXES = (PARQUET, LINES)


def records_lines(records: Sequence[SampleRecord]) -> bytes:
    """The records as JSON lines, for other programs."""
    return b"".join(json.dumps(r.fields()).encode() + b"\n" for r in records)


def write_part(stem: Path, records: Sequence[SampleRecord], outputs: Ports | None) -> None:
    """Writes `stem` with the suffix of the form that this installation has."""
    if not installed("pyarrow"):
        write_file(stem.with_suffix(LINES), records_lines(records))
        return
    from edgeq.harness.trace_table import table_bytes

    write_file(stem.with_suffix(PARQUET), table_bytes(records, outputs))


def read_part(path: Path, outputs: Ports | None) -> list[SampleRecord]:
    """The records of one part, by its suffix. Raises BadInput for a damaged one, Toolchain for
    Parquet without pyarrow.
    """
    if path.suffix == LINES:
        return _read_lines(path)
    require("parquet", f"{path}, a run that was recorded as Parquet,")
    from edgeq.harness.trace_table import read_records

    return read_records(path, outputs)


def _read_lines(path: Path) -> list[SampleRecord]:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise BadInput(f"{path} has {size:,} bytes, a part at most {MAX_BYTES:,}")
    data = path.read_bytes()
    if not data.endswith(b"\n"):
        raise BadInput(f"{path} is damaged: its last line is cut")
    records = []
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            fields = decode_json(line)
            if not isinstance(fields, dict):
                raise ValueError("a record is a JSON object")
            records.append(SampleRecord.parse(fields))
        except ValueError as error:
            raise BadInput(f"{path} is damaged at line {number}: {error}") from None
    return records
