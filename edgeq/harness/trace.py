"""Traces: one JSON line per sample, readable after the host was killed at any moment.

    {"kind": "header", "version": 1, "board": ..., "firmware_digest": ..., ...}
    {"kind": "sample", "index": 0, "label": 3, "output": [..], "route": 1, ...}
    {"kind": "end", "samples": 360, "reason": "complete"}

Every line is written in one call and flushed. A line cut in its middle can only be the last one;
reading drops it, and resuming cuts it off before it appends.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from edgeq.errors import BadInput
from edgeq.harness.messages import InferResult

VERSION = 1
COMPLETE = "complete"


@dataclass(frozen=True)
class TraceHeader:
    """What was measured: enough to say whether two traces may be joined or compared."""

    board: str
    firmware_digest: str
    model_digest: str
    compiler: str
    clock_hz: int
    samples: int  # planned
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class SampleRecord:
    """One inference. `label` is None without ground truth, `mismatch` None without a reference."""

    index: int
    label: int | None
    output: tuple[int, ...]
    route: int
    uncertainty: float
    confidence: float
    cycles: int
    stack_bytes: int
    layer_cycles: tuple[int, ...]
    mismatch: bool | None = None

    @classmethod
    def of(
        cls, result: InferResult, label: int | None = None, mismatch: bool | None = None
    ) -> "SampleRecord":
        """The record of a result that came over the link."""
        return cls(
            index=result.id,
            label=label,
            output=tuple(int(value) for value in result.output),
            route=result.route,
            uncertainty=result.uncertainty,
            confidence=result.confidence,
            cycles=result.cycles,
            stack_bytes=result.stack_bytes,
            layer_cycles=result.layer_cycles,
            mismatch=mismatch,
        )


@dataclass(frozen=True)
class Trace:
    """A trace as read: `ended` is "complete", the reason of an early end, or None when killed."""

    header: TraceHeader
    records: tuple[SampleRecord, ...]
    ended: str | None

    @property
    def complete(self) -> bool:
        return self.ended == COMPLETE

    @property
    def next_index(self) -> int:
        """The first sample that is missing; samples are recorded in order from 0."""
        done = {record.index for record in self.records}
        return next(index for index in range(len(done) + 1) if index not in done)


class TraceWriter:
    """Appends records; use as a context manager. An exception inside ends up as the reason."""

    def __init__(self, file: BinaryIO, written: int) -> None:
        self._file = file
        self._written = written
        self._ended = False

    @classmethod
    def create(cls, path: Path, header: TraceHeader) -> "TraceWriter":
        """Starts a new trace; an old file of that name is replaced."""
        writer = cls(path.open("wb"), 0)
        writer._line({"kind": "header", "version": VERSION, **dataclasses.asdict(header)})
        return writer

    @classmethod
    def resume(cls, path: Path, header: TraceHeader) -> tuple["TraceWriter", Trace]:
        """Continues a trace at `trace.next_index`; its end mark or cut last line is removed.

        Raises BadInput when firmware, model or board differ: such samples must not be mixed.
        """
        trace, keep_bytes = _scan(path)
        for name in ("firmware_digest", "model_digest", "board"):
            old, new = getattr(trace.header, name), getattr(header, name)
            if old != new:
                raise BadInput(
                    f"{path} was recorded with {name} {old}, now it is {new}; start a new trace"
                )
        file = path.open("r+b")
        file.truncate(keep_bytes)
        file.seek(0, os.SEEK_END)
        return cls(file, len(trace.records)), trace

    def add(self, record: SampleRecord) -> None:
        """Appends one record; after the return it survives the death of this process."""
        self._line({"kind": "sample", **dataclasses.asdict(record)})
        self._written += 1

    def end(self, reason: str = COMPLETE) -> None:
        """Appends the end mark, once."""
        if not self._ended:
            self._ended = True
            self._line({"kind": "end", "samples": self._written, "reason": reason})

    def __enter__(self) -> "TraceWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        if error is not None:
            self.end(f"{kind.__name__ if kind else ''}: {error}")
        self._file.close()

    def _line(self, value: dict[str, Any]) -> None:
        self._file.write(json.dumps(value, separators=(",", ":")).encode() + b"\n")
        self._file.flush()


def read_trace(path: Path) -> Trace:
    """Reads a trace, whole or cut. Raises BadInput when it is missing, empty or no trace."""
    return _scan(path)[0]


def write_parquet(trace: Trace, path: Path) -> None:
    """The samples as one Parquet table, the header as its metadata."""
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    table = pa.Table.from_pylist([dataclasses.asdict(record) for record in trace.records])
    header = json.dumps(dataclasses.asdict(trace.header))
    table = table.replace_schema_metadata({"edgeq": header, "ended": trace.ended or ""})
    pq.write_table(table, path)


def _scan(path: Path) -> tuple[Trace, int]:
    """The trace, and how many bytes hold its header and whole records."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise BadInput(f"trace {path} cannot be read: {error.strerror}") from None
    if lines and not lines[-1].endswith(b"\n"):
        del lines[-1]  # cut in its middle when the host died
    if not lines:
        raise BadInput(f"trace {path} is empty: the run ended before its first record")
    header = _parse_header(path, lines[0])
    records, ended, keep_bytes = [], None, len(lines[0])
    for number, line in enumerate(lines[1:], start=2):
        record = _parse(path, number, line)
        if isinstance(record, str):
            ended = record
            break
        records.append(record)
        keep_bytes += len(line)
    return Trace(header, tuple(records), ended), keep_bytes


def _parse_header(path: Path, line: bytes) -> TraceHeader:
    try:
        fields = json.loads(line)
        kind, version = fields.pop("kind"), fields.pop("version")
        if kind != "header" or version != VERSION:
            raise ValueError(f"kind {kind!r}, version {version!r}")
        return TraceHeader(**fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput(f"{path} is not a trace of this edgeq: line 1: {error}") from None


def _parse(path: Path, number: int, line: bytes) -> SampleRecord | str:
    """A record, or the reason of the end mark."""
    try:
        fields = json.loads(line)
        kind = fields.pop("kind")
        if kind == "end":
            return str(fields["reason"])
        if kind != "sample":
            raise ValueError(f"kind {kind!r}")
        fields["output"] = tuple(fields["output"])
        fields["layer_cycles"] = tuple(fields["layer_cycles"])
        return SampleRecord(**fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput(f"trace {path} is damaged at line {number}: {error}") from None
