"""The straight line: model file -> graph -> passes -> emitted forms; build; flash; profile."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeq.errors import BadInput
from edgeq.extras import needs, require
from edgeq.files import path_of, scratch_folder, write_file

if TYPE_CHECKING:
    from edgeq.board import Board
    from edgeq.compiled import Compiled
    from edgeq.estimating import Estimated
    from edgeq.export_request import ExportRequest
    from edgeq.nn import Model
    from edgeq.prove import Check
    from edgeq.sources import Source
    from edgeq.toolchain import Firmware


@needs("export", "an export")
def export(
    model: "str | Path | Model",
    target: str,
    out: str | Path = "build/export",
    calibration: str | Path | None = None,
    method: str = "mse",
    compiler: str = "auto",
    objective: str = "latency",
    *,
    max_latency: str | None = None,
    max_energy: str | None = None,
    max_mean_latency: str | None = None,
    max_mean_energy: str | None = None,
    max_mean_power: str | None = None,
    mlperf: str | None = None,
    name: str | None = None,
    weights_as: str = "auto",
    accept_mismatch: bool = False,
    max_disagreement: str | None = None,
    confidence: str | None = None,
    threshold_data: str | Path | None = None,
    weights: str | None = None,
    ptq: str = "fast",
    labels: str | Path | None = None,
    task: str | None = None,
    input_shape: Sequence[int] | str | None = None,
    plan: str | Path | None = None,
    package: Sequence[str] | str | None = None,
    stream: str | None = None,
    lookahead: bool = False,
    carry: bool = False,
    hop: str | None = None,
    hold: int | None = None,
    watch: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """ONNX, TFLite, C firmware and the report of a model, into folder `out`; returns the report.

    `model`: a file or an edgeq.nn.Model; others: docs/commands.md, docs/python.md. Writes nothing
    for ModelFile, UnsupportedOp, BadInput, MemoryBudget, CostBudget, Toolchain or Mismatch.
    """
    from edgeq.export_request import ExportRequest, read_limits
    from edgeq.sources import requantized, with_task

    costs = (max_latency, max_energy, max_mean_latency, max_mean_energy, max_mean_power)
    budget, promise = read_limits(costs, max_disagreement, confidence, path_of(threshold_data))
    options = (method, compiler, objective, budget, mlperf, name, weights_as, promise, package)
    given = (target, Path(out), path_of(calibration), *options, stream, lookahead, hop, carry, hold)
    asked = ExportRequest(*given).checked()
    how = (weights, ptq, asked.calibration, path_of(labels), input_shape, plan)
    return _exported(asked, with_task(requantized(model, *how), task), accept_mismatch, watch)


def _exported(
    asked: "ExportRequest",
    source: "Source",
    accept_mismatch: bool,
    watch: Callable[[int, int, str], None] | None,
) -> dict[str, Any]:
    from edgeq.emit.forms import emit_forms
    from edgeq.estimating import within_budget
    from edgeq.export_report import export_report
    from edgeq.export_write import write_report
    from edgeq.passes import holding
    from edgeq.prove import Subject
    from edgeq.streaming import proven, shipped

    model = asked.streamed(source) if asked.stream else source
    x = model.rows(asked.calibration)
    quantized = model.quantized(x, asked.method, asked.features, asked.name)
    quantized = quantized if asked.hold is None else holding(quantized, asked.hold)
    of = asked.identity(model, quantized.graph, x)
    kernels, of = asked.tuned(quantized.graph, of, watch)
    quantized = replace(quantized, graph=quantized.graph.with_kernels(kernels))
    promised = asked.promised(model, x, quantized.graph)
    with scratch_folder() as scratch:
        costed = within_budget(quantized, of, asked.budgeted(quantized.graph), scratch, promised)
        asked.deadline(costed)  # before the proofs, which take their time
        model = shipped(model, costed.compiled.graph) if asked.stream else model
        forms = emit_forms(costed.compiled.graph, of.name, of.digest, of.class_names)
        trained = model.check(costed.compiled.graph, x, anew=asked.calibration is not None)
        subject = Subject(
            costed.compiled, x, of.rows, of.board, costed.firmware.elf, *forms.files, model.task
        )
        checks = proven(model, subject, trained, accept=accept_mismatch)
    report = export_report(asked, of, model, quantized, costed, checks, forms)
    return write_report(asked, report, _marked(costed.compiled, checks, of.board), model, forms)


def _marked(compiled: "Compiled", checks: Iterable["Check"], board: "Board") -> "Compiled":
    """With a word in the model's header for each proof that failed and was accepted."""
    from edgeq.toolchain import with_board

    for check in (c for c in checks if c.accepted):
        compiled = compiled.with_remark(f"ACCEPTED MISMATCH, --accept-mismatch. {check.said}")
        compiled = replace(compiled, project=with_board(compiled.project, board))
    return compiled


def estimate(
    source: str | Path = "build/export",
    boards: Sequence[str] = (),
    *,
    calibration: str | Path | None = None,
    compiler: str = "auto",
    prove: bool = False,
    explain: Sequence[str] = (),
    watch: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """What an export folder or a model file costs on each board, before any flash.

    Per route and layer: cycles, seconds and joules with their band, modelled; flash and RAM.
    Without `boards` an export's own target is taken. `prove` traces the input to every branch,
    microseconds an instruction. `explain`: names of layers; each kernel of such a layer is counted
    or says why it is not taken. `watch` hears each board's name. Raises BadInput, ModelFile,
    UnsupportedOp, Toolchain, and MemoryBudget when no board has room.
    """
    from edgeq.board import load_board, runnable_board
    from edgeq.estimating import estimate_boards, of_folder
    from edgeq.export_folder import read_report
    from edgeq.toolchain import find_compiler

    path = Path(source)
    wanted = [load_board(name) for name in boards]
    found = find_compiler(compiler)
    if path.is_file():
        require("export", f"the estimate of a model file ({path})")
        if not wanted:
            raise BadInput(f"on which board? {path} is a model file; pass --board NAME")
        model = _of_model(path, calibration)
        return estimate_boards(model, wanted, found, prove=prove, explain=explain, watch=watch)
    if calibration is not None:
        raise BadInput(f"--calibration goes with a model file; {path} was calibrated at its export")
    model = of_folder(path)
    wanted = wanted or [runnable_board(str(read_report(path)["target"]))]
    return estimate_boards(model, wanted, found, prove=prove, explain=explain, watch=watch)


def overlay(source: str | Path, estimated: Mapping[str, Any], folder: str | Path) -> list[str]:
    """Writes an estimate of the export folder `source` as overlays for Model Explorer.

    A file of cycles a board and one of widths, each keyed by the tensors of model.tflite. Returns
    their paths. Raises BadInput where `source` is no export folder with that file.
    """
    from edgeq.export_folder import read_report

    model = Path(source) / "model.tflite"
    if not model.is_file():
        raise BadInput(
            f"an overlay lies on model.tflite, and {model} is not there: export it first"
        )
    require("export", "an overlay")
    from edgeq.emit.tflite_names import written_tensors
    from edgeq.reporting.overlay import overlays

    report, written = read_report(Path(source)), written_tensors(model.read_bytes())
    files: dict[str, Any] = {}
    for entry in estimated["boards"]:
        files |= overlays(report, entry, written) if entry["fits"] else {}
    for name, content in files.items():
        write_file(Path(folder) / name, json.dumps(content, indent=1).encode(), parents=True)
    return [str(Path(folder) / name) for name in files]


def _of_model(path: Path, calibration: str | Path | None) -> "Estimated":
    """The model, quantised as an export would, with the routes of its calibration rows."""
    from edgeq.estimating import Estimated, Shares
    from edgeq.reference import quantize_rows
    from edgeq.sources import source_of

    model = source_of(path)
    x = model.rows(path_of(calibration))
    quantized = model.quantized(x, "mse", frozenset(), None)
    rows, chosen = quantize_rows(quantized.graph, x), quantized.chosen(len(x))
    shares = Shares.of_rows("calibration", chosen)
    return Estimated(model.name, model.digest, quantized.graph, rows, "calibration", chosen, shares)


@needs("export", "a verify")
def verify(
    export: str | Path = "build/export",
    *,
    model: str | Path | None = None,
    port: str | None = None,
    baud: int = 115200,
    compiler: str = "auto",
    calibration: str | Path | None = None,
) -> dict[str, Any]:
    """The proofs of an export folder again: firmware, ONNX, TFLite, and with `model` its own.

    `model` is the file that was exported, also where the export quantised it; `calibration` gives
    the rows of an export that was made with such. With `port` the board there answers for the
    firmware, else the virtual twin of the target. Its `passed` says whether all hold. Raises
    ModelFile for the folder or another model's file, Link when there is no board or another model
    on it, Toolchain.
    """
    from edgeq.prove.again import verified, verify_folder
    from edgeq.streaming import check_step, window_of
    from edgeq.toolchain import find_compiler

    folder = Path(export)
    found = None if port else find_compiler(compiler)
    exported, checks = verify_folder(folder, found, port, baud)
    window = window_of(folder)
    if window is not None:
        checks.append(check_step(exported.graph, window))
    if model is not None:
        from edgeq.export_folder import read_report
        from edgeq.sources import check_source

        report, rows = read_report(folder), path_of(calibration)
        of = (Path(model), exported.digest, window or exported.graph)
        shape, task = report.get("input_shape"), report.get("task")
        given = check_source(
            *of, origin=report.get("origin"), calibration=rows, task=task, input_shape=shape
        )
        checks.insert(0, given)
    return verified(folder, exported, checks)


def build(
    board: str,
    firmware: str | Path = "build/export",
    compiler: str = "auto",
    marker: str = "levels",
    baud: int | None = None,
) -> dict[str, Any]:
    """Builds the export for `board`, as `flash` does; the ELF, its sizes, digest and flags.

    Raises MemoryBudget when the firmware does not fit, Toolchain without a compiler.
    """
    from edgeq.board import load_board

    return _build(load_board(board), Path(firmware), compiler, marker, baud)[2]


def _build(
    plain: "Board", firmware: Path, compiler: str, marker: str, baud: int | None
) -> tuple["Firmware", "Board", dict[str, Any]]:
    """The firmware in FIRMWARE/build/<board>, its board, and what firmware.json there says."""
    from edgeq.export_folder import read_project
    from edgeq.toolchain import OPTIMIZE, find_compiler, with_board
    from edgeq.toolchain import build as run

    project, board = read_project(firmware), plain.marked_by(marker).at_baud(baud)
    out = firmware / "build" / board.name
    out.mkdir(parents=True, exist_ok=True)
    found = find_compiler(compiler)
    (out / "firmware.json").unlink(missing_ok=True)  # a build that is cut leaves none
    built = run(with_board(project, board), board, found, out, OPTIMIZE)
    result: dict[str, Any] = {
        "board": board.name,
        "evidence": board.evidence,
        "elf": str(built.elf),
        "flash_bytes": built.flash_bytes,
        "ram_bytes": built.ram_bytes,
        "sections": dict(built.sections),
        "firmware_digest": built.digest,
        "marker": marker,
        "baud": board.uart.baud,
        "compiler": built.compiler,
        "flags": list(built.flags),
    }
    write_file(out / "firmware.json", json.dumps(result, indent=2).encode() + b"\n")
    return built, board, result


def flash(
    board: str | None = None,
    firmware: str | Path = "build/export",
    compiler: str = "auto",
    tool: str | None = None,
    dry_run: bool = False,
    port: str | None = None,
    verify: bool = True,
    watch: Callable[[float | None, str], None] | None = None,
    marker: str = "levels",
    baud: int | None = None,
    probe: str | None = None,
    marker_file: str | Path | None = None,
    serve: str | None = None,
    microphone: bool = False,
    sound: str | Path | None = None,
) -> dict[str, Any]:
    """Builds the export for `board` and brings it there; returns sizes, commands, port and pid.

    Without a name the attached board is taken. With `verify` the board is asked for its firmware's
    digest, at `port` or at the port that it has; an emulated board that fails to tell is stopped.
    `watch` hears how far it is (0..1, or None) and with what. `marker` is how the firmware's marker
    pin shows an inference, "levels" or "pulses" (docs/energy.md); `baud` the speed of its serial
    port instead of the board file's; `probe` the serial number of the board's probe, among several
    of a kind; `marker_file` where a virtual board writes the edges of its marker pin, `serve` the
    HOST:PORT of its serial port instead of a pseudo-terminal (docs/farm.md); `microphone` builds a
    firmware that hears the board's own (docs/capture.md), `sound` is the WAV file that a virtual
    board's hears. Raises Link when there is no board or it does not answer, MemoryBudget when the
    firmware does not fit, Toolchain without a compiler or tool, Flash when flashing fails, Mismatch
    when the board runs something else.
    """
    from edgeq import flashers
    from edgeq.toolchain import that_captures

    tell = watch or flashers.unwatched
    tell(None, "building")
    around = None if probe is None or dry_run else flashers.look_at(probe)
    plain = flashers.choose_board(board, around)
    plain = that_captures(plain) if microphone else plain
    built, chosen, result = _build(plain, Path(firmware), compiler, marker, baud)
    edges, wav = path_of(marker_file), path_of(sound)
    more = (flashers.look, tell, probe, edges, serve, wav)
    result |= flashers.flash(built, chosen, tool, dry_run, *more)
    port = port or result["port"]
    asked = verify and not dry_run and port is not None
    if asked:
        tell(None, "verifying")
        flashers.verify_or_stop(str(port), built.digest, chosen.uart.baud, result["pid"])
    return {**result, "port": port, "verified": asked}


def profile(
    port: str | None = None,
    firmware: str | Path = "build/export",
    data: str | Path | None = None,
    *,
    run: str | Path | None = None,
    trace: str | Path | None = None,
    parquet: str | Path | None = None,
    limit: int | None = None,
    resume: bool = False,
    baud: int = 115200,
    meter: str = "model",
    meter_port: str | None = None,
    meter_rate: int | None = None,
    volts: float | None = None,
    windows: int = 5,
    window_s: float = 10.0,
    watch: Callable[[int, int, float], None] | None = None,
    tell: Callable[[int, int, str], None] | None = None,
    kept: Callable[[str], None] | None = None,
    probe: str | None = None,
    stream: str | Path | None = None,
    hop: int | None = None,
    place: str | None = None,
    coordinator: str | None = None,
    labgrid: str | Path | None = None,
) -> dict[str, Any]:
    """Streams a data set through the board; returns accuracy, latency, energy and mismatches.

    Every sample goes at once into the folder `run` (default: the next one in `firmware`/runs);
    `resume` continues that run, or the newest. `trace` and `parquet` name files of the records, as
    JSON lines and as one table. `watch` hears of samples done, samples in all and the accuracy so
    far. With a `meter` other than the model, energy is measured afterwards in `windows` windows of
    `window_s` seconds or more (docs/energy.md), at `volts` where the meter supplies the board;
    `tell` hears of each, and `kept`, when Ctrl-C ends it, of what is left. `probe` instead of
    `port` is its serial number, `stream` instead of `data` a recording (docs/streams.md), whose
    newest window goes every `hop` frames; `place` is a board of a farm (docs/farm.md). Raises Link
    without a board or when it is lost, Taken for another's place, Meter, and BadInput.
    """
    from edgeq import profiling
    from edgeq.profile_request import ProfileRequest

    request = ProfileRequest(
        Path(firmware), port, probe, path_of(run), path_of(data), path_of(trace), path_of(parquet)
    )
    request = replace(request, limit=limit, baud=baud, resume=resume, meter=meter, volts=volts)
    request = replace(request, meter_port=meter_port, meter_rate=meter_rate, windows=windows)
    request = replace(request, window_seconds=window_s, stream=path_of(stream), hop=hop)
    request = replace(request, place=place, coordinator=coordinator, labgrid=path_of(labgrid))
    return profiling.profile(request, watch, tell, kept).entry
