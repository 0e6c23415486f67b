"""Records as Parquet, in the columns that docs/traces.md lists."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from edgeq.errors import BadInput
from edgeq.harness.record import SampleRecord

SCHEMA = pa.schema(
    [
        pa.field("index", pa.uint32(), nullable=False),
        pa.field("label", pa.int32()),
        pa.field("output", pa.list_(pa.int8()), nullable=False),
        pa.field("route", pa.int32(), nullable=False),
        pa.field("uncertainty", pa.float64(), nullable=False),
        pa.field("confidence", pa.float64(), nullable=False),
        pa.field("cycles", pa.uint64(), nullable=False),
        pa.field("stack_bytes", pa.uint32(), nullable=False),
        pa.field("layer_cycles", pa.list_(pa.uint32()), nullable=False),
        pa.field("mismatch", pa.bool_()),
    ]
)


def records_table(records: Sequence[SampleRecord]) -> pa.Table:
    """One row a record."""
    return pa.Table.from_pylist([r.fields() for r in records], schema=SCHEMA)


def table_bytes(records: Sequence[SampleRecord]) -> bytes:
    """The Parquet file of some records."""
    file = io.BytesIO()
    pq.write_table(records_table(records), file)
    return file.getvalue()


def records_lines(records: Sequence[SampleRecord]) -> bytes:
    """The records as JSON lines, for other programs."""
    return b"".join(json.dumps(r.fields()).encode() + b"\n" for r in records)


def read_records(path: Path) -> list[SampleRecord]:
    """Raises BadInput for a file that is damaged or holds other columns."""
    try:
        table = pq.ParquetFile(path).read()
        if table.schema.names != SCHEMA.names:
            raise BadInput(f"{path} has columns {table.schema.names}, a run has {SCHEMA.names}")
        return [SampleRecord.parse(row) for row in table.cast(SCHEMA).to_pylist()]
    except (OSError, pa.ArrowException, ValueError) as error:
        raise BadInput(f"{path} is damaged: {error}") from None
