"""Profiling: a data set streamed through the board, beside the reference, every sample kept."""

import contextlib
import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.arrays import Array
from edgeq.emit.firmware import LayerInfo, layer_table
from edgeq.errors import BadInput, Link, Meter, Mismatch
from edgeq.expected_board import check_board, known_board
from edgeq.export_folder import EVALUATION, GRAPH, RUNS, read_report
from edgeq.files import write_file
from edgeq.flashers import look
from edgeq.harness.link import BoardLink
from edgeq.harness.manifest import Manifest
from edgeq.harness.messages import InferResult, Info
from edgeq.harness.meters import CurrentMeter
from edgeq.harness.profile_summary import Summary
from edgeq.harness.record import SampleRecord
from edgeq.harness.trace import CURRENT, SUMMARY, Run, read_run, run_folders
from edgeq.harness.trace_part import records_lines
from edgeq.harness.trace_writer import RunWriter, create_next_run, create_run, resume_run
from edgeq.harness.windows import Window
from edgeq.ir import Graph
from edgeq.ir.ports import inputs_of, outputs_of, result_tensors
from edgeq.metering import Repeater, Tell, measure, powered, source_of, with_energy
from edgeq.ops.op import quant_of
from edgeq.passes.stored_graph import stored_graph
from edgeq.profile_request import ProfileRequest
from edgeq.profile_samples import Samples, read_samples
from edgeq.reference import Numbers, numbers
from edgeq.reporting.alone import alone_entries
from edgeq.reporting.export import experts_of
from edgeq.reporting.memory_map import memory_map
from edgeq.reporting.profile import Profiled, summarize
from edgeq.reporting.run_rows import Costs, Rows, costs_of
from edgeq.reporting.statistics import latency_source
from edgeq.reporting.stream import stream_entry
from edgeq.reporting.task import UNLABELLED, errors, reconstruction
from edgeq.run_manifest import run_manifest
from edgeq.seat import seat_of
from edgeq.stream_samples import read_recording
from edgeq.strict import Strict, Whole, read_strict

Watch = Callable[[int, int, float], None]  # samples done, in all, accuracy so far (or NaN)
Kept = Callable[[str], None]  # what Ctrl-C left of the run, and how to go on


def profile(
    request: ProfileRequest,
    watch: Watch | None = None,
    tell: Tell | None = None,
    kept: Kept | None = None,
) -> Summary:
    """Streams the data set; writes the run's folder, profile.json, profile.txt and report.html.

    With a meter, its windows follow: the same samples again, `tell` hears of each window.

    Returns the summary, whose `mismatches` the caller must look at (`refuse_mismatches`). Raises
    ModelFile or BadInput for the folder or the data, Link when there is no board, another model on
    it, or the board is lost, Meter when the measurement fails, KeyboardInterrupt; then the run so
    far is kept, and the error or, for Ctrl-C, `kept` is told where.
    """
    from edgeq.reporting.profile_files import write_results

    request.check()
    folder = request.firmware
    report, graph = read_report(folder), stored_graph(folder / GRAPH)
    samples = _samples(request, report, graph)
    layers = layer_table(graph)
    with (
        seat_of(request) as seat,
        powered(request.plan, _usb) as meter,  # before the link: it may be what feeds the board
        BoardLink.open(seat.port, seat.greeting_s, request.baud) as link,
    ):
        info = link.info()
        check_board(info, report, graph, layers, folder)
        subject = _subject(info, report, graph, layers, folder)
        subject = dataclasses.replace(subject, virtual=seat.virtual, task=samples.task)
        manifest = run_manifest(subject, report["input_shape"], samples.source, len(samples.rows))
        writer, before = _open_run(request, manifest)
        with _saying_what_is_kept(writer.folder, request, kept):
            recorded = _record(link, writer, before, request, graph, samples, watch)
            windows = _measure(meter, link, request, samples, recorded, tell) if meter else ()
        statistics = dataclasses.asdict(link.statistics)
    summary = summarize(subject, recorded.records)
    summary = summary.but(**_by_task(graph, samples, recorded, costs_of(subject, summary, report)))
    if meter:
        source = source_of(subject.board, meter.title)
        summary = with_energy(summary, windows, request.plan, source)
    summary = summary.but(**_provenance(request, report, graph, subject))
    summary = summary.but(**_as_stream(graph, samples, subject, recorded))
    summary = summary.but(run=str(recorded.folder), link=statistics)
    write_file(recorded.folder / SUMMARY, json.dumps(summary.entry, indent=2).encode() + b"\n")
    write_results(folder, recorded, summary)
    return summary


def _as_stream(graph: Graph, samples: Samples, subject: Profiled, recorded: Run) -> dict[str, Any]:
    """Cycles a frame, duty cycle, energy a second and routes, where a sample is a hop."""
    stream, first = samples.stream or graph.stream, samples.begins if samples.stream else None
    if stream is None:
        return {}
    records, board = recorded.records, subject.board
    source = latency_source(board, [r.cycles for r in records], subject.virtual)
    clock_hz, figures = subject.info.clock_hz, board.energy if board else None
    told = clock_hz, figures, source, subject.experts, first
    entry = stream_entry(stream, records, _classes(graph), *told)
    return {"stream": entry}


def _provenance(
    request: ProfileRequest, report: dict[str, Any], graph: Graph, subject: Profiled
) -> dict[str, Any]:
    return {
        "memory": memory_map(graph, subject.build.get("sections")),
        "export": {
            **{key: report.get(key) for key in ("target", "checks", "notes", "threshold")},
            **{key: report[key] for key in ("inputs", "outputs", "state_bytes") if key in report},
        },
        "trace": str(request.trace) if request.trace else None,
    }


def _by_task(graph: Graph, samples: Samples, recorded: Run, costs: Costs) -> dict[str, Any]:
    """What a classifier's experts would do alone; the errors of what gives values."""
    if samples.task == "autoencoder":
        return {"reconstruction": _reconstruction(graph, samples, recorded)}
    if samples.targets is not None:
        return {"errors": errors(samples.targets, _real_outputs(graph, recorded))}
    if samples.task != "classification":
        return {}
    rows = Rows(graph, samples.rows, samples.labels, samples.groups, recorded.records)
    return alone_entries(rows, costs)


def _reconstruction(graph: Graph, samples: Samples, recorded: Run) -> dict[str, Any]:
    """Errors in real numbers, of the int8 rows that the board got."""
    given = quant_of(graph.tensors[graph.inputs[0]])
    inputs = samples.rows.reshape(len(samples.rows), -1).astype(np.float64)
    real = (inputs - given.zero_point) * given.per_tensor
    return reconstruction(real, _real_outputs(graph, recorded), samples.labels)


def _real_outputs(graph: Graph, recorded: Run) -> Array:
    """The first output of every sample (rows, values) in real numbers."""
    made = quant_of(graph.tensors[result_tensors(graph)[0]])
    codes = np.array([r.output[: _classes(graph)] for r in recorded.records], np.float64)
    return (codes - made.zero_point) * made.per_tensor


def refuse_mismatches(summary: Summary) -> None:
    """Raises Mismatch when the board and the reference disagreed on any sample."""
    count, first = summary.mismatches, summary.mismatch_samples
    if count:
        more = ", ..." if count > len(first) else ""
        raise Mismatch(
            f"{count} of {summary.samples} samples differ from the reference: "
            f"{', '.join(map(str, first))}{more}; {summary.run} has the board's answers"
        )


def _usb() -> list[tuple[str, str]]:
    return [(device.port, device.usb_id) for device in look().devices]


def _measure(
    meter: CurrentMeter,
    link: BoardLink,
    request: ProfileRequest,
    samples: Samples,
    recorded: Run,
    tell: Tell | None,
) -> tuple[Window, ...]:
    """The windows, after every sample is recorded: what fails here can be had again alone."""
    repeat = Repeater(link, samples.rows, recorded.records)
    place, clock_hz = recorded.folder / CURRENT, link.info().clock_hz
    return measure(meter, request.plan, repeat, place, tell, clock_hz)


def _samples(request: ProfileRequest, report: dict[str, Any], graph: Graph) -> Samples:
    if request.stream is not None:
        return read_recording(request.stream, report, graph, request.hop).first(request.limit)
    source = request.data or request.firmware / EVALUATION
    if not request.data and not source.is_file():
        raise BadInput(
            f"{request.firmware} stores no evaluation set; pass --data X.npz (keys x, y)"
        )
    return read_samples(source, report, graph).first(request.limit)


def _classes(graph: Graph) -> int:
    """Values of the first output port."""
    return outputs_of(graph).ports[0].size


def _subject(
    info: Info,
    report: dict[str, Any],
    graph: Graph,
    layers: tuple[LayerInfo, ...],
    folder: Path,
) -> Profiled:
    names = report.get("class_names") or [str(i) for i in range(_classes(graph))]
    experts = tuple(e.name for e in experts_of(graph))
    board = known_board(info.board)
    return Profiled(info, board, layers, experts, tuple(names), _build(folder, info))


class _Built(Strict):
    """firmware.json, as far as it is read again."""

    firmware_digest: str
    compiler: str
    flags: list[str]
    flash_bytes: Whole | None = None
    ram_bytes: Whole | None = None
    sections: dict[str, Whole] | None = None


def _build(folder: Path, info: Info) -> dict[str, Any]:
    """What `edgeq flash` noted of the firmware that the board says it runs; {} if it is another."""
    for path in sorted((folder / "build").glob("*/firmware.json")):
        try:
            built, facts = read_strict(path, _Built)
        except (OSError, ValueError):
            continue
        if built.firmware_digest == info.firmware_digest:
            return facts
    return {}


def _open_run(
    request: ProfileRequest, manifest: Manifest
) -> tuple[RunWriter, tuple[SampleRecord, ...]]:
    """A new run, or the old one to continue and its records."""
    try:
        if request.resume:
            writer, run = resume_run(request.run or newest_run(request.firmware), manifest)
            return writer, run.records
        if request.run:
            return create_run(request.run, manifest), ()
        return create_next_run(request.firmware / RUNS, manifest), ()
    except OSError as error:
        where = request.run or request.firmware / RUNS
        raise BadInput(f"cannot write {where}: {error.strerror}; choose another --run") from error


def newest_run(firmware: Path) -> Path:
    """The last run of an export folder; BadInput when it has none."""
    runs = run_folders(firmware / RUNS)
    if not runs:
        raise BadInput(f"{firmware / RUNS} holds no run to resume; start one without --resume")
    return runs[-1]


def _record(
    link: BoardLink,
    writer: RunWriter,
    before: tuple[SampleRecord, ...],
    request: ProfileRequest,
    graph: Graph,
    samples: Samples,
    watch: Watch | None,
) -> Run:
    """Runs what the run lacks; returns the whole of it, as read back from its folder."""
    folder = writer.folder
    try:
        with writer:
            _stream(link, writer, graph, samples, before, watch)
    except OSError as error:
        raise BadInput(f"cannot write {folder}: {error.strerror}; choose another --run") from error
    return _export(read_run(folder), request)


def _stream(
    link: BoardLink,
    writer: RunWriter,
    graph: Graph,
    samples: Samples,
    before: tuple[SampleRecord, ...],
    watch: Watch | None,
) -> None:
    classes, inputs = _classes(graph), inputs_of(graph)
    right = sum(int(np.argmax(r.output[:classes])) == r.label for r in before)
    expected = numbers(graph, samples.rows, len(before))
    routes = range(len(experts_of(graph))) or (-1,)
    link.begin(inputs.pack(row) for row in samples.rows[: len(before)])
    for index, wanted in enumerate(expected, start=len(before)):
        result = link.infer(index, inputs.pack(samples.rows[index]))
        if result.route not in routes:
            raise Link(f"sample {index}: the board took route {result.route}, which is none")
        label = int(samples.labels[index])
        known_label = None if label == UNLABELLED else label
        writer.add(SampleRecord.of(result, known_label, _answer(result) != wanted))
        right += int(result.output[:classes].argmax()) == label
        if watch:
            known = samples.task == "classification"
            watch(index + 1, len(samples.rows), right / (index + 1) if known else math.nan)
    writer.end()


def _answer(result: InferResult) -> Numbers:
    return tuple(result.output.tolist()), result.route, round(result.uncertainty * 2**24)


@contextlib.contextmanager
def _saying_what_is_kept(
    folder: Path, request: ProfileRequest, kept: Kept | None
) -> Iterator[None]:
    """Around what fills the run: the way to go on belongs to every early end."""
    try:
        yield
    except (Link, Meter) as error:
        raise type(error)(f"{error}; {_what_is_kept(folder, request)}") from error
    except KeyboardInterrupt:
        left = _what_is_kept(folder, request)
        if kept:
            kept(left)
        raise


def _what_is_kept(folder: Path, request: ProfileRequest) -> str:
    """For the message of a run that ended early."""
    run = _export(read_run(folder), request)
    return (
        f"{len(run.records)} of {run.manifest.samples} samples are kept in {folder}; continue "
        f"with: {request.resume_command(folder)}"
    )


def _export(run: Run, request: ProfileRequest) -> Run:
    """Writes the records in the other forms that were asked for; returns the run."""
    if request.trace:
        write_file(request.trace, records_lines(run.records), parents=True)
    if request.parquet:
        from edgeq.harness.trace_table import table_bytes

        table = table_bytes(run.records, run.manifest.model.ports)
        write_file(request.parquet, table, parents=True)
    return run
