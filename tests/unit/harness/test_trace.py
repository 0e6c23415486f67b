"""The folder of a run: what is written is read again, whatever the moment of the kill."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stub_run import MANIFEST, record

from edgeq.errors import BadInput
from edgeq.harness.journal import decode_line, encode_line
from edgeq.harness.record import SampleRecord
from edgeq.harness.trace import read_run, run_folders
from edgeq.harness.trace_part import records_lines
from edgeq.harness.trace_writer import create_next_run, create_run, resume_run

SEGMENT = 4


def written(folder: Path, count: int, end: bool = True) -> Path:
    with create_run(folder, MANIFEST, SEGMENT) as run:
        for index in range(count):
            run.add(record(index))
        if end:
            run.end()
    return folder


def check_records(folder: Path, count: int) -> None:
    assert read_run(folder).records == tuple(record(index) for index in range(count))


def complete(folder: Path, count: int) -> None:
    """Resumes up to `count` records."""
    writer, before = resume_run(folder, MANIFEST, SEGMENT)
    with writer:
        for index in range(len(before.records), count):
            writer.add(record(index))
        writer.end()


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 11])
def test_round_trip(tmp_path, count):
    folder = written(tmp_path / "run", count)
    run = read_run(folder)
    assert run.manifest == MANIFEST
    assert run.complete
    assert run.summary is None
    assert run.current is None
    check_records(folder, count)
    left = {path.name for path in folder.iterdir()}
    assert left == {"manifest.json", "end.json"} | ({"records"} if count else set())


def test_records_are_readable_while_the_run_writes(tmp_path):
    with create_run(tmp_path / "run", MANIFEST, SEGMENT) as writer:
        for index in range(10):
            writer.add(record(index))
            check_records(tmp_path / "run", index + 1)
        assert read_run(tmp_path / "run").ended is None


def test_the_folder_of_parts_is_one_table_for_others(tmp_path):
    folder = written(tmp_path / "run", 10)
    table = pq.read_table(folder / "records")
    assert table.column("index").to_pylist() == list(range(10))
    assert table.column("cycles").to_pylist() == [2**40 + index for index in range(10)]
    assert table.column("layer_cycles")[3].as_py() == [7, 0, 2**32 - 1]
    lines = records_lines(read_run(folder).records).splitlines()
    assert SampleRecord.parse(json.loads(lines[9])) == record(9)


@given(st.data())
def test_cut_anywhere_reads_and_resumes(tmp_path_factory, data):
    folder = written(tmp_path_factory.mktemp("cut") / "run", 7, end=False)
    journal = folder / "journal-00001.log"
    lines = journal.read_bytes()
    cut = data.draw(st.integers(0, len(lines)))
    journal.write_bytes(lines[:cut])
    kept = 4 + lines[:cut].count(b"\n")
    check_records(folder, kept)
    assert read_run(folder).ended is None
    complete(folder, 9)
    check_records(folder, 9)
    run = read_run(folder)
    assert run.complete
    assert len(run.manifest.sessions) == 2
    assert not list(folder.glob("journal*"))


@given(st.integers(0, 2**32), st.integers(1, 255))
def test_no_damaged_line_is_taken(place, flip):
    line = bytearray(encode_line(record(3).fields()))
    line[place % len(line)] ^= flip
    assert decode_line(bytes(line)) is None


def test_killed_between_the_part_and_its_journal(tmp_path):
    folder = written(tmp_path / "run", 3, end=False)
    journal = (folder / "journal-00000.log").read_bytes()
    complete(folder, 3)
    (folder / "end.json").unlink()
    (folder / "journal-00000.log").write_bytes(journal)  # as if it had not been removed
    check_records(folder, 3)
    complete(folder, 5)
    check_records(folder, 5)


def test_exception_is_the_reason_of_the_end(tmp_path):
    def run() -> None:
        with create_run(tmp_path / "run", MANIFEST) as writer:
            writer.add(record(0))
            raise RuntimeError("cable pulled")

    with pytest.raises(RuntimeError):
        run()
    read = read_run(tmp_path / "run")
    assert read.ended == "RuntimeError: cable pulled"
    assert not read.complete
    check_records(tmp_path / "run", 1)
    complete(tmp_path / "run", 2)
    assert read_run(tmp_path / "run").complete


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"board": {"name": "other"}}, "board virtual_m4, now it is other"),
        ({"firmware": MANIFEST.firmware.model_copy(update={"digest": "0"})}, "firmware_digest"),
        ({"model": MANIFEST.model.model_copy(update={"digest": "0"})}, "model_digest"),
        ({"data": MANIFEST.data.model_copy(update={"input_digest": "0"})}, "data set"),
        ({"samples": 1}, "already holds 2 samples, more than the 1 asked for; raise --limit"),
    ],
)
def test_resume_refuses_what_must_not_be_mixed(tmp_path, change, message):
    folder = written(tmp_path / "run", 2, end=False)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(BadInput, match=message):
        resume_run(folder, MANIFEST.model_copy(update=change))
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_two_processes_never_record_into_one_run(tmp_path):
    folder = written(tmp_path / "run", 2)
    writer, _ = resume_run(folder, MANIFEST)
    with writer, pytest.raises(BadInput, match="recorded by another process"):
        resume_run(folder, MANIFEST)
    complete(folder, 3)
    check_records(folder, 3)


def test_runs_are_numbered_and_never_replaced(tmp_path):
    for expected in ("0001", "0002"):
        with create_next_run(tmp_path / "runs", MANIFEST) as writer:
            assert writer.folder.name == expected
    shutil.rmtree(tmp_path / "runs" / "0001")
    (tmp_path / "runs" / "notes").mkdir()
    with create_next_run(tmp_path / "runs", MANIFEST) as writer:
        assert writer.folder.name == "0003"
    assert [path.name for path in run_folders(tmp_path / "runs")] == ["0002", "0003"]
    assert run_folders(tmp_path / "none") == ()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_text("dear")
    for taken in (tmp_path / "mine", tmp_path / "mine" / "letter", tmp_path / "runs" / "0002"):
        with pytest.raises(BadInput, match="is not empty"):
            create_run(taken, MANIFEST)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter"]
    (tmp_path / "empty").mkdir()
    assert written(tmp_path / "empty", 1) == tmp_path / "empty"


def damage(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder


def test_what_is_no_run_is_named(tmp_path):
    with pytest.raises(BadInput, match="holds no run"):
        read_run(tmp_path / "none")
    with pytest.raises(BadInput, match="holds no run"):
        resume_run(tmp_path / "none", MANIFEST)
    folder = written(tmp_path / "run", 6)
    manifest = (folder / "manifest.json").read_bytes()
    for text, message in (
        (b"", "is no manifest of this edgeq"),
        (b"[]", "is no manifest of this edgeq"),
        (
            manifest.replace(b'"version": 1', b'"version": 9'),
            "its version is '9', this edgeq reads 1",
        ),
        (manifest.replace(b'"version": 1,', b""), "no version, as an older edgeq wrote it"),
        (manifest.replace(b'"format": "edgeq run",', b""), "format: Field required"),
        (manifest.replace(b'"digest"', b'"digits"', 1), "digest: Field required"),
    ):
        with pytest.raises(BadInput, match=message):
            read_run(damage(folder, "manifest.json", text))
    damage(folder, "manifest.json", manifest)
    with pytest.raises(BadInput, match=r"end.json is damaged"):
        read_run(damage(folder, "end.json", b"[]"))
    damage(folder, "end.json", b"{}")
    with pytest.raises(BadInput, match=r"00001.parquet is damaged"):
        read_run(damage(folder, "records/00001.parquet", b"PAR1"))
    pq.write_table(
        pq.read_table(folder / "records/00000.parquet").drop_columns("route"),
        folder / "records/00001.parquet",
    )
    with pytest.raises(BadInput, match="has columns"):
        read_run(folder)
    (folder / "records/00001.parquet").unlink()
    shutil.copy(folder / "records/00000.parquet", folder / "records/00002.parquet")
    with pytest.raises(BadInput, match="record of sample 4 is missing"):
        read_run(folder)


def test_damage_in_the_middle_of_a_journal_is_named(tmp_path):
    folder = written(tmp_path / "run", 3, end=False)
    journal = folder / "journal-00000.log"
    lines = journal.read_bytes().splitlines(keepends=True)
    for bad, message in (
        (b"x" + lines[1], "damaged at line 2: its checksum does not match"),
        (encode_line({"index": 1}), "is damaged: label: Field required"),
    ):
        journal.write_bytes(b"".join([lines[0], bad, lines[2]]))
        with pytest.raises(BadInput, match=message):
            read_run(folder)


def test_records_come_in_order(tmp_path):
    with create_run(tmp_path / "run", MANIFEST) as writer:
        with pytest.raises(ValueError, match="record 1 after -1"):
            writer.add(record(1))


WRITER = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from stub_run import MANIFEST, record
from edgeq.harness.trace_writer import resume_run
writer, run = resume_run(Path({folder!r}), MANIFEST, {segment})
print("up", flush=True)
for index in range(len(run.records), 10**6):
    writer.add(record(index))
"""


def test_a_killed_writer_leaves_a_readable_run(tmp_path):
    """Parts of four records: most kills fall into the change from journal to part."""
    folder = written(tmp_path / "run", 0)
    code = WRITER.format(here=os.path.dirname(__file__), folder=str(folder), segment=SEGMENT)
    before = 0
    for seed in range(3):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            time.sleep(random.Random(seed).uniform(0.01, 0.2))
            process.send_signal(signal.SIGKILL)
        run = read_run(folder)
        assert run.ended is None
        assert len(run.records) > before
        before = len(run.records)
        check_records(folder, before)
    complete(folder, before + 1)
    assert read_run(folder).complete


def test_the_line_in_the_docs_is_a_line_of_a_journal():
    text = (Path(__file__).parents[3] / "docs" / "traces.md").read_text()
    assert f"    {encode_line(record(0).fields()).decode()}" in text
