"""Traces: what is written is read again, whatever the moment of the kill."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import BadInput
from edgeq.harness.messages import InferResult
from edgeq.harness.trace import (
    SampleRecord,
    TraceHeader,
    TraceWriter,
    read_trace,
    write_parquet,
)

HEADER = TraceHeader("virtual_m4", "f" * 64, "a" * 64, "gcc 12.2 -O2", 100_000_000, 5, {"seed": 1})


def record(index: int) -> SampleRecord:
    output = np.array([index, -128, 127], np.int8)
    result = InferResult(index, 1, 0.125, 0.5, 2**40 + index, output, 512, (7, 0, 9))
    return SampleRecord.of(result, label=index % 3, mismatch=False)


def written(path, count, end=True):
    with TraceWriter.create(path, HEADER) as trace:
        for index in range(count):
            trace.add(record(index))
        if end:
            trace.end()
    return path


def test_round_trip(tmp_path):
    trace = read_trace(written(tmp_path / "t.jsonl", 5))
    assert trace.header == HEADER
    assert trace.complete
    assert trace.records == tuple(record(index) for index in range(5))
    assert trace.next_index == 5


@given(st.data())
def test_cut_anywhere_reads_and_resumes(tmp_path_factory, data):
    path = written(tmp_path_factory.mktemp("cut") / "t.jsonl", 5)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    cut = data.draw(st.integers(first, len(whole)))
    path.write_bytes(whole[:cut])
    trace = read_trace(path)
    assert trace.records == tuple(record(i) for i in range(len(trace.records)))
    assert trace.complete == (cut == len(whole))
    writer, before = TraceWriter.resume(path, HEADER)
    with writer:
        for index in range(before.next_index, 5):
            writer.add(record(index))
        writer.end()
    assert path.read_bytes() == whole


def test_exception_is_the_reason_of_the_end(tmp_path):
    path = tmp_path / "t.jsonl"

    def run() -> None:
        with TraceWriter.create(path, HEADER) as trace:
            trace.add(record(0))
            raise RuntimeError("cable pulled")

    with pytest.raises(RuntimeError):
        run()
    trace = read_trace(path)
    assert trace.ended == "RuntimeError: cable pulled"
    assert not trace.complete
    assert trace.next_index == 1


@pytest.mark.parametrize("name", ["firmware_digest", "model_digest", "board"])
def test_resume_refuses_another_device(tmp_path, name):
    path = written(tmp_path / "t.jsonl", 2, end=False)
    before = path.read_bytes()
    with pytest.raises(BadInput, match=name):
        TraceWriter.resume(path, dataclasses.replace(HEADER, **{name: "other"}))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ('{"kind": "head', "is empty"),
        ("hello\n", "not a trace"),
        ("[]\n", "not a trace"),
        ('{"kind": "header", "version": 99}\n', "version 99"),
    ],
)
def test_what_is_no_trace(tmp_path, text, message):
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    with pytest.raises(BadInput, match=message):
        read_trace(path)


def test_damage_in_the_middle_is_named(tmp_path):
    path = written(tmp_path / "t.jsonl", 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"x" + lines[1], *lines[2:]]))
    with pytest.raises(BadInput, match="damaged at line 2"):
        read_trace(path)


def test_missing_file(tmp_path):
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        read_trace(tmp_path / "none.jsonl")


KILLED = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from test_trace import HEADER, record
from edgeq.harness.trace import TraceWriter
writer = TraceWriter.create(Path({path!r}), HEADER)
print("up", flush=True)
for index in range(10**6):
    writer.add(record(index))
"""


def test_a_killed_writer_leaves_a_readable_trace(tmp_path):
    path = tmp_path / "t.jsonl"
    code = KILLED.format(here=os.path.dirname(__file__), path=str(path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    trace = read_trace(path)
    assert trace.ended is None
    assert trace.records == tuple(record(index) for index in range(len(trace.records)))


def test_parquet(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    trace = read_trace(written(tmp_path / "t.jsonl", 4))
    write_parquet(trace, tmp_path / "t.parquet")
    table = pq.read_table(tmp_path / "t.parquet")
    assert table.column("cycles").to_pylist() == [2**40 + index for index in range(4)]
    assert json.loads(table.schema.metadata[b"edgeq"])["board"] == "virtual_m4"
