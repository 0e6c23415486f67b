"""Records as Parquet, in the columns that docs/traces.md lists."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from edgeq.errors import BadInput
from edgeq.harness.record import SampleRecord
from edgeq.ports import Port, Ports

OUTPUT = "output"
ARROW = {"int8": pa.int8(), "int16": pa.int16()}
PLAIN = Ports((Port(OUTPUT, "int8", 1),))
_BEFORE = [pa.field("index", pa.uint32(), nullable=False), pa.field("label", pa.int32())]
_AFTER = [
    pa.field("route", pa.int32(), nullable=False),
    pa.field("uncertainty", pa.float64(), nullable=False),
    pa.field("confidence", pa.float64(), nullable=False),
    pa.field("cycles", pa.uint64(), nullable=False),
    pa.field("stack_bytes", pa.uint32(), nullable=False),
    pa.field("layer_cycles", pa.list_(pa.uint32()), nullable=False),
    pa.field("mismatch", pa.bool_()),
]


def columns(outputs: Ports | None) -> tuple[str, ...]:
    """The columns of the answers: "output", and of several ports "output.NAME" each."""
    ports = (outputs or PLAIN).ports
    return (OUTPUT,) if len(ports) == 1 else tuple(f"{OUTPUT}.{port.name}" for port in ports)


def schema(outputs: Ports | None) -> pa.Schema:
    """The columns of a table of records whose model has these output ports."""
    kinds = [pa.list_(ARROW[port.dtype]) for port in (outputs or PLAIN).ports]
    names = zip(columns(outputs), kinds, strict=True)
    own = [pa.field(name, kind, nullable=False) for name, kind in names]
    return pa.schema([*_BEFORE, *own, *_AFTER])


SCHEMA = schema(None)


def records_table(records: Sequence[SampleRecord], outputs: Ports | None = None) -> pa.Table:
    """One row a record."""
    return pa.Table.from_pylist([_row(r, outputs) for r in records], schema=schema(outputs))


def _row(record: SampleRecord, outputs: Ports | None) -> dict[str, Any]:
    row, at = record.fields(), 0
    if outputs is None or len(outputs.ports) == 1:
        return row
    codes = row.pop(OUTPUT)
    for name, port in zip(columns(outputs), outputs.ports, strict=True):
        row[name] = codes[at : at + port.size]
        at += port.size
    return row


def table_bytes(records: Sequence[SampleRecord], outputs: Ports | None = None) -> bytes:
    """The Parquet file of some records."""
    file = io.BytesIO()
    pq.write_table(records_table(records, outputs), file)
    return file.getvalue()


def read_records(path: Path, outputs: Ports | None = None) -> list[SampleRecord]:
    """Raises BadInput for a file that is damaged or holds other columns."""
    wanted = schema(outputs)
    try:
        table = pq.ParquetFile(path).read()
        if table.schema.names != wanted.names:
            raise BadInput(f"{path} has columns {table.schema.names}, a run has {wanted.names}")
        rows = table.cast(wanted).to_pylist()
        return [SampleRecord.parse(_joined(row, columns(outputs))) for row in rows]
    except (OSError, pa.ArrowException, ValueError) as error:
        raise BadInput(f"{path} is damaged: {error}") from None


def _joined(row: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    if tuple(names) == (OUTPUT,):
        return row
    parts = [row.pop(name) for name in names]
    return {**row, OUTPUT: [code for part in parts for code in part or ()]}
