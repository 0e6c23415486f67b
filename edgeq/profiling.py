"""Profiling: a data set streamed through the board, beside the reference, every sample kept."""

import dataclasses
import hashlib
import json
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.arrays import Array, class_labels, model_rows, read_npz
from edgeq.board import Board, all_boards, load_board
from edgeq.emit.firmware import LayerInfo, layer_table
from edgeq.errors import BadInput, Link, Mismatch
from edgeq.export_folder import EVALUATION, GRAPH, read_report
from edgeq.flashers import look, running
from edgeq.harness.link import Link as BoardLink
from edgeq.harness.messages import InferResult, Info
from edgeq.harness.trace import (
    SampleRecord,
    Trace,
    TraceHeader,
    TraceWriter,
    read_trace,
    write_parquet,
)
from edgeq.ir import Graph
from edgeq.ops.graph_file import read_graph
from edgeq.reference import quantize_rows, run
from edgeq.report.export import experts_of
from edgeq.report.profile import Subject, summarize

TRACE = "trace.jsonl"
GREETING_S = 20.0  # an emulated board that starts on a busy computer takes its time
REFERENCE_ROWS = 32  # the reference keeps every tensor of its rows
Watch = Callable[[int, int, float], None]  # samples done, samples in all, accuracy so far


@dataclass(frozen=True)
class ProfileRequest:
    """What to profile. None: the one board there is, the stored set, the folder's own trace."""

    firmware: Path
    port: str | None = None
    data: Path | None = None
    trace: Path | None = None
    parquet: Path | None = None
    limit: int | None = None
    resume: bool = False

    @property
    def trace_path(self) -> Path:
        return self.trace or self.firmware / TRACE

    def resume_command(self) -> str:
        """The command line that continues this run."""
        words = ["edgeq", "profile"]
        flags: dict[str, object] = {"port": self.port, "firmware": self.firmware}
        flags |= {"data": self.data, "trace": self.trace, "parquet": self.parquet}
        flags |= {"limit": self.limit}
        for flag, value in flags.items():
            words += [f"--{flag}", str(value)] if value is not None else []
        return shlex.join([*words, "--resume"])


@dataclass(frozen=True)
class Samples:
    """int8 rows as the model takes them, their labels, and the digest of both."""

    rows: Array
    labels: Array
    digest: str


def profile(request: ProfileRequest, watch: Watch | None = None) -> dict[str, Any]:
    """Streams the data set; writes trace, profile.json, profile.txt and report.html.

    Returns the summary, whose `mismatches` the caller must look at (`refuse_mismatches`). Raises
    ModelFile or BadInput for the folder or the data, Link when there is no board, another model on
    it, or the board is lost; then the trace so far is kept.
    """
    from edgeq.report.profile_files import write_results

    folder = request.firmware
    report, graph = read_report(folder), read_graph(folder / GRAPH)
    samples = _samples(request, report, graph)
    layers = layer_table(graph)
    with BoardLink.open(request.port or find_port(), timeout=GREETING_S) as link:
        info = link.info()
        _check_board(info, report, samples, layers, folder)
        subject = _subject(info, report, graph, layers, folder)
        trace = _record(link, request, subject, graph, samples, watch)
        statistics = dataclasses.asdict(link.statistics)
    summary = summarize(subject, trace.records)
    summary |= {"trace": str(request.trace_path), "link": statistics}
    if request.parquet:
        _write_parquet(trace, request.parquet)
    write_results(folder, report, summary, trace.records)
    return summary


def refuse_mismatches(summary: dict[str, Any]) -> None:
    """Raises Mismatch when the board and the reference disagreed on any sample."""
    count, first = summary["mismatches"], summary["mismatch_samples"]
    if count:
        more = ", ..." if count > len(first) else ""
        raise Mismatch(
            f"{count} of {summary['samples']} samples differ from the reference: "
            f"{', '.join(map(str, first))}{more}; {summary['trace']} has the board's answers"
        )


def find_port() -> str:
    """The port of the only board there is: attached or emulated. Raises Link otherwise."""
    known = {usb_id for board in all_boards() for usb_id in board.probe.usb_ids}
    attached = [f"{d.port} (USB {d.usb_id})" for d in look().devices if d.usb_id in known]
    return only_port([*attached, *(f"{r.port} ({r.board})" for r in running())])


def only_port(found: Sequence[str]) -> str:
    """The port of the only "PORT (what it is)"; Link, listing them, when it is not one."""
    if len(found) == 1:
        return found[0].partition(" ")[0]
    if not found:
        raise Link(
            "no board is attached and no emulated one runs; start one with `edgeq flash --board "
            "virtual_m4`, or name its port with --port"
        )
    raise Link(f"{len(found)} boards are there; choose one with --port: {', '.join(found)}")


def _samples(request: ProfileRequest, report: dict[str, Any], graph: Graph) -> Samples:
    source = request.data or request.firmware / EVALUATION
    if not request.data and not source.is_file():
        raise BadInput(
            f"{request.firmware} stores no evaluation set; pass --data X.npz (keys x, y)"
        )
    x, y = read_npz(source, "x", "y")
    rows = quantize_rows(graph, model_rows(x, tuple(report["input_shape"]), str(source)))
    labels = class_labels(y, len(rows), _classes(graph), str(source))
    digest = hashlib.sha256(rows.tobytes() + labels.tobytes()).hexdigest()
    if request.limit is not None and request.limit < 1:
        raise BadInput(f"--limit {request.limit}: give 1 or more samples")
    return Samples(rows[: request.limit], labels[: request.limit], digest)


def _classes(graph: Graph) -> int:
    return int(np.prod(graph.tensors[graph.outputs[0]].shape))


def _check_board(
    info: Info,
    report: dict[str, Any],
    samples: Samples,
    layers: tuple[LayerInfo, ...],
    folder: Path,
) -> None:
    """Raises Link unless the board runs the model of this folder."""
    flash_again = f"run `edgeq flash --board {info.board} --firmware {folder}`"
    if info.model_digest != report["model_digest"]:
        raise Link(
            f"the board runs model {info.model_digest}, {folder} holds {report['model_digest']}; "
            f"{flash_again}, or name the folder of the board's model with --firmware"
        )
    ours = (samples.rows[0].size, len(layers))
    if (info.input_bytes, info.layer_count) != ours:
        raise Link(
            f"the board takes {info.input_bytes} bytes and has {info.layer_count} layers, {folder} "
            f"says {ours[0]} and {ours[1]}; {flash_again}"
        )


def _subject(
    info: Info,
    report: dict[str, Any],
    graph: Graph,
    layers: tuple[LayerInfo, ...],
    folder: Path,
) -> Subject:
    names = report.get("class_names") or [str(i) for i in range(_classes(graph))]
    experts = tuple(e.name for e in experts_of(graph))
    board = _board(info.board)
    return Subject(info, board, layers, experts, tuple(names), _build(folder, info))


def _board(name: str) -> Board | None:
    try:
        return load_board(name)
    except BadInput:
        return None


def _build(folder: Path, info: Info) -> dict[str, Any]:
    """What `edgeq flash` noted of the firmware that the board says it runs; {} if it is another."""
    for path in sorted((folder / "build").glob("*/firmware.json")):
        try:
            built = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        if isinstance(built, dict) and built.get("firmware_digest") == info.firmware_digest:
            return built
    return {}


def _record(
    link: BoardLink,
    request: ProfileRequest,
    subject: Subject,
    graph: Graph,
    samples: Samples,
    watch: Watch | None,
) -> Trace:
    """Runs what the trace lacks; returns the whole of it, as read back from the file."""
    path = request.trace_path
    try:
        writer, before = _open_trace(request, subject, samples)
        with writer:
            _stream(link, writer, graph, samples, before, watch)
    except Link as error:
        kept = len(read_trace(path).records)
        raise Link(
            f"{error}; {kept} of {len(samples.rows)} samples are kept in {path}; continue with: "
            f"{request.resume_command()}"
        ) from error
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}; choose another --trace") from error
    return read_trace(path)


def _open_trace(
    request: ProfileRequest, subject: Subject, samples: Samples
) -> tuple[TraceWriter, tuple[SampleRecord, ...]]:
    """A new trace, or the old one to continue and its records."""
    info, path = subject.info, request.trace_path
    header = TraceHeader(
        board=info.board,
        firmware_digest=info.firmware_digest,
        model_digest=info.model_digest,
        compiler=str(subject.build.get("compiler") or "unknown"),
        clock_hz=info.clock_hz,
        samples=len(samples.rows),
        extra={"data_digest": samples.digest, "experts": list(subject.experts)},
    )
    if not request.resume:
        path.parent.mkdir(parents=True, exist_ok=True)
        return TraceWriter.create(path, header), ()
    old = read_trace(path)
    if old.header.extra.get("data_digest") != samples.digest:
        raise BadInput(f"{path} was recorded with another data set; give the same --data")
    if len(old.records) > len(samples.rows):
        raise BadInput(
            f"{path} already holds {len(old.records)} samples, more than the {len(samples.rows)} "
            "asked for; raise --limit"
        )
    writer, trace = TraceWriter.resume(path, header)
    return writer, trace.records


def _stream(
    link: BoardLink,
    writer: TraceWriter,
    graph: Graph,
    samples: Samples,
    before: tuple[SampleRecord, ...],
    watch: Watch | None,
) -> None:
    right = sum(int(np.argmax(r.output)) == r.label for r in before)
    expected = _expected(graph, samples.rows, len(before))
    for index, wanted in enumerate(expected, start=len(before)):
        result = link.infer(index, samples.rows[index].tobytes())
        label = int(samples.labels[index])
        writer.add(SampleRecord.of(result, label, _answer(result) != wanted))
        right += int(result.output.argmax()) == label
        if watch:
            watch(index + 1, len(samples.rows), right / (index + 1))
    writer.end()


_Answer = tuple[tuple[int, ...], int, int]  # outputs, route, uncertainty in Q8.24


def _answer(result: InferResult) -> _Answer:
    return tuple(result.output.tolist()), result.route, round(result.uncertainty * 2**24)


def _expected(graph: Graph, rows: Array, start: int) -> Iterator[_Answer]:
    """What the reference answers from row `start` on."""
    for at in range(start, len(rows), REFERENCE_ROWS):
        ran = run(graph, rows[at : at + REFERENCE_ROWS])
        outputs = ran.output.reshape(len(ran.output), -1).tolist()
        for output, route, doubt in zip(outputs, ran.route, ran.uncertainty, strict=True):
            yield tuple(output), int(route), int(doubt)


def _write_parquet(trace: Trace, path: Path) -> None:
    """Beside its place, then one rename: a table is whole or absent."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_parquet(trace, fresh)
        os.replace(fresh, path)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        fresh.unlink(missing_ok=True)
