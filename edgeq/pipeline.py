"""The straight line: model file -> graph -> passes -> emitted forms; build; flash; profile."""

import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeq.errors import BadInput
from edgeq.files import path_of, scratch_folder, write_file

if TYPE_CHECKING:
    from edgeq.arrays import Array
    from edgeq.board import Board
    from edgeq.compiled import Compiled
    from edgeq.emit.forms import Forms
    from edgeq.estimating import Estimated
    from edgeq.export_report import ExportReport
    from edgeq.export_request import ExportRequest
    from edgeq.nn import Model
    from edgeq.prove import Check
    from edgeq.sources import Source
    from edgeq.toolchain import Firmware


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
) -> dict[str, Any]:
    """ONNX, TFLite, C firmware and the report of a model, into folder `out`; returns the report.

    `model` is a file (`input_shape`: an .onnx with open sizes), or an edgeq.nn.Model. `target` is a
    core (sizes reported) or a board (fit enforced). `objective`: "latency" takes the core's
    fastest kernels, "size" the plain, short ones. Budgets carry units ("20ms", "1mJ"): what an
    inference may cost at worst, and in the mean of the calibration rows, for which curiosity is
    weakened. `max_disagreement` ("2%"): docs/thresholds.md. `mlperf` ("kws01"): docs/mlperf.md.
    `name` begins every global C name. `weights_as`: "c", "binary" or "auto". `weights` and `ptq`
    quantise a float model after training; `labels`: a class name a line; `task`: docs/import.md.
    Raises ModelFile, UnsupportedOp, BadInput, MemoryBudget, CostBudget, Toolchain or Mismatch
    before anything is written; `accept_mismatch` writes a model whose integers answer otherwise.
    """
    from edgeq.estimating import Budget
    from edgeq.export_request import ExportRequest, PromiseRequest
    from edgeq.sources import requantized, with_task

    budget = Budget.read(max_latency, max_energy, max_mean_latency, max_mean_energy)
    promise = PromiseRequest.read(max_disagreement, confidence, path_of(threshold_data))
    options = (method, compiler, objective, budget, mlperf, name, weights_as, promise)
    asked = ExportRequest(target, Path(out), path_of(calibration), *options)
    asked.check()
    how = (weights, ptq, asked.calibration, path_of(labels), input_shape)
    return _exported(asked, with_task(requantized(model, *how), task), accept_mismatch)


def _exported(asked: "ExportRequest", model: "Source", accept_mismatch: bool) -> dict[str, Any]:
    from edgeq.emit.forms import emit_forms
    from edgeq.estimating import within_budget
    from edgeq.export_report import export_report
    from edgeq.prove import Subject, prove_export

    x = model.rows(asked.calibration)
    quantized = model.quantized(x, asked.method, asked.features, asked.name)
    of = asked.identity(model, quantized.graph, x)
    promised = asked.promised(model, x, quantized.graph)
    with scratch_folder() as scratch:
        costed = within_budget(quantized, of, asked.budget, scratch, promised)
        forms = emit_forms(costed.compiled.graph, of.name, of.digest)
        trained = model.check(costed.compiled.graph, x, anew=asked.calibration is not None)
        subject = Subject(
            costed.compiled, x, of.rows, of.board, costed.firmware.elf, *forms.files, model.task
        )
        checks = prove_export(subject, trained, accept=accept_mismatch)
    report = export_report(asked, of, model, quantized, costed, checks, forms)
    return _write(asked.out, report, _marked(costed.compiled, checks, of.board), model, forms)


def _marked(compiled: "Compiled", checks: Iterable["Check"], board: "Board") -> "Compiled":
    """With a word in the model's header for each proof that failed and was accepted."""
    from edgeq.toolchain import with_board

    for check in (c for c in checks if c.accepted):
        compiled = compiled.with_remark(f"ACCEPTED MISMATCH, --accept-mismatch. {check.said}")
        compiled = replace(compiled, project=with_board(compiled.project, board))
    return compiled


def _write(
    out: Path, report: "ExportReport", compiled: "Compiled", model: "Source", forms: "Forms"
) -> dict[str, Any]:
    """The export folder; returns export.json."""
    from edgeq.export_folder import EVALUATION, GRAPH, Artifacts, write_export
    from edgeq.ops.graph_file import write_graph

    entry = report.entry
    files = {"model.onnx": forms.onnx, "report.txt": _plain_text(entry, out.name)}
    if forms.tflite:
        files["model.tflite"] = forms.tflite
    if model.evaluation is not None:
        files[EVALUATION] = _npz(**model.evaluation)
    written = {GRAPH: lambda path: write_graph(compiled.graph, path)}
    write_export(out, Artifacts(entry, compiled.project, files, written))
    return entry


def _npz(**arrays: "Array") -> bytes:
    import numpy as np

    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _plain_text(report: dict[str, Any], folder: str) -> bytes:
    from edgeq.reporting.export import export_text
    from edgeq.reporting.terminal import console

    text = io.StringIO()
    said = export_text(report, folder, verbose=True)
    console(file=text, width=140, color_system=None).print(said, crop=False)
    return text.getvalue().encode()


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
        if not wanted:
            raise BadInput(f"on which board? {path} is a model file; pass --board NAME")
        model = _of_model(path, calibration)
        return estimate_boards(model, wanted, found, prove=prove, explain=explain, watch=watch)
    if calibration is not None:
        raise BadInput(f"--calibration goes with a model file; {path} was calibrated at its export")
    model = of_folder(path)
    wanted = wanted or [runnable_board(str(read_report(path)["target"]))]
    return estimate_boards(model, wanted, found, prove=prove, explain=explain, watch=watch)


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
    from edgeq.toolchain import find_compiler

    folder = Path(export)
    found = None if port else find_compiler(compiler)
    exported, checks = verify_folder(folder, found, port, baud)
    if model is not None:
        from edgeq.export_folder import read_report
        from edgeq.sources import check_source

        report, rows = read_report(folder), path_of(calibration)
        of = (Path(model), exported.digest, exported.graph)
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
) -> dict[str, Any]:
    """Builds the export for `board` and brings it there; returns sizes, commands, port and pid.

    Without a name the attached board is taken. With `verify` the board is asked for its firmware's
    digest, at `port` or at the port that it has; an emulated board that fails to tell is stopped.
    `watch` hears how far it is (0..1, or None) and with what. `marker` is how the firmware's marker
    pin shows an inference, "levels" or "pulses" (docs/energy.md); `baud` the speed of its serial
    port instead of the board file's; `probe` the serial number of the board's probe, among several
    of a kind; `marker_file` where a virtual board writes the edges of its marker pin. Raises Link
    when there is no board or it does not answer, MemoryBudget when the firmware does not fit,
    Toolchain without a compiler or tool, Flash when flashing fails, Mismatch when the board runs
    something else.
    """
    from edgeq import flashers

    tell = watch or flashers.unwatched
    tell(None, "building")
    around = None if probe is None or dry_run else flashers.look_at(probe)
    plain = flashers.choose_board(board, around)
    built, chosen, result = _build(plain, Path(firmware), compiler, marker, baud)
    result |= flashers.flash(
        built,
        chosen,
        tool=tool,
        dry_run=dry_run,
        watch=tell,
        probe=probe,
        marker_file=path_of(marker_file),
    )
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
) -> dict[str, Any]:
    """Streams a data set through the board; returns accuracy, latency, energy and mismatches.

    Every sample goes at once into the folder `run` (docs/traces.md; default: the next one in
    `firmware`/runs); `resume` continues that run, or the newest. `trace` and `parquet` name files
    for the records as JSON lines and as one table. `watch` hears of samples done, samples in all
    and the accuracy so far. With a `meter` other than the model, energy is measured afterwards in
    `windows` windows of at least `window_s` seconds (docs/energy.md), at `volts` where the meter
    supplies the board; `tell` hears of each, and `kept`, when Ctrl-C ends it, of what is left and
    how to go on. `probe` instead of `port` is the serial number of the
    board's probe. Raises Link when there is no board or it is lost,
    Meter when the meter fails, BadInput for the data or the run.
    """
    from edgeq import profiling
    from edgeq.profile_request import ProfileRequest

    request = ProfileRequest(
        Path(firmware), port, probe, path_of(run), path_of(data), path_of(trace), path_of(parquet)
    )
    request = replace(
        request, limit=limit, baud=baud, resume=resume, meter=meter, meter_port=meter_port
    )
    request = replace(request, meter_rate=meter_rate, volts=volts, windows=windows)
    request = replace(request, window_seconds=window_s)
    return profiling.profile(request, watch, tell, kept).entry
