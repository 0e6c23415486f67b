"""The commands that are no step of the straight line, as functions of the Python API."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeq.errors import BadInput, UnsupportedOp
from edgeq.extras import needs

if TYPE_CHECKING:
    from edgeq.harness.trace import Run


def boards(probe: str | None = None) -> dict[str, Any]:
    """The known boards, the attached ones and the emulated ones that run, as `edgeq boards`.

    `probe`: of what is attached only the probe of that serial number. Link if it is not there.

    >>> "nucleo_l4r5zi" in [board["name"] for board in boards()["boards"]]
    True
    """
    from edgeq import flashers
    from edgeq.board import all_boards
    from edgeq.flashers.text import attached_json, boards_json
    from edgeq.flashers.usb import known_devices

    around = flashers.look_at(probe)
    attached = flashers.attached_boards(around)
    facts = boards_json(all_boards(), attached, flashers.running())
    devices = [d for d in known_devices(around) if probe in (None, d.serial_number)]
    return facts | attached_json(around, devices)


def meters() -> dict[str, Any]:
    """The current meters that edgeq reads, and which are attached, as `edgeq meters`.

    >>> [meter["name"] for meter in meters()["meters"]]
    ['model', 'lpm01a', 'ppk2', 'joulescope']
    """
    from edgeq.flashers import look
    from edgeq.flashers.usb import usb_devices
    from edgeq.harness.meters import meters_json

    serial = [(device.port, device.usb_id) for device in look().devices]
    return meters_json(serial, [device.usb_id for device in usb_devices()])


@needs("export", "reading .tflite and .onnx files")
def imported_ops(
    file: str | Path | None = None, input_shape: Sequence[int] | str | None = None
) -> dict[str, Any]:
    """The operators of .tflite and .onnx files that are taken, and each node of `file` with why it
    is not. `input_shape`, without the batch: of an .onnx file that leaves sizes open.

    Raises BadInput for what is neither, ModelFile and UnsupportedOp for the file as a whole.

    >>> "CONV_2D" in imported_ops()["supported"], "Conv" in imported_ops()["supported_onnx"]
    (True, True)
    """
    from edgeq.arrays import read_shape
    from edgeq.frontend import onnx_ops, tflite_float, tflite_ops
    from edgeq.frontend.onnx_loader import findings_of_onnx
    from edgeq.frontend.own_form import findings_of_own, own_form
    from edgeq.frontend.tflite_file import is_onnx, is_tflite
    from edgeq.frontend.tflite_loader import findings_of

    path = None if file is None else Path(file)
    nodes: Sequence[Any] = []
    if path is not None:
        known = is_tflite(path) or is_onnx(path)
        if path.is_file() and not known:
            raise BadInput(
                f"{path} is no .tflite or .onnx file; `edgeq export` checks a saved model"
            )
        shape = read_shape(input_shape)
        own = own_form(path)
        if own is not None:
            nodes = findings_of_own(own)
        else:
            nodes = findings_of_onnx(path, shape) if is_onnx(path) else findings_of(path)
    return {
        "supported": sorted(tflite_ops.READERS),
        "supported_tflite_int16": sorted(tflite_ops.ON_INT16),
        "supported_tflite_float": sorted(tflite_float.WRITERS),
        "supported_onnx": sorted(onnx_ops.READERS),
        "file": None if path is None else str(path),
        "nodes": [
            {
                "index": n.index,
                "op": n.op,
                "name": n.name,
                "taken": n.checked and not n.refused,
                "reason": n.refused or None,
            }
            for n in nodes
        ],
    }


def refuse_unsupported(facts: dict[str, Any]) -> None:
    """UnsupportedOp that names every node of `imported_ops` which is not taken."""
    refused = [n for n in facts["nodes"] if n["reason"]]
    if refused:
        named = "; ".join(f"node {n['index']} {n['op']} ({n['name']})" for n in refused)
        count = f"{len(refused)} of {len(facts['nodes'])}"
        raise UnsupportedOp(f"{facts['file']}: {count} nodes are not taken: {named}")


def listen(
    wav: str | Path,
    port: str | None = None,
    firmware: str | Path = "build/export",
    *,
    log: str | Path | None = None,
    labels: str | Path | None = None,
    threshold: float = 0.5,
    hop: str | None = None,
    pace: bool = True,
    truth: str | Path | None = None,
    wake: str | None = None,
    frames: str | Path | None = None,
    baud: int = 115200,
    probe: str | None = None,
    place: str | None = None,
    coordinator: str | None = None,
    labgrid: str | Path | None = None,
) -> dict[str, Any]:
    """Sends a WAV file to a board hop by hop, as `edgeq listen`: events, latency, real-time factor.

    `log` names a new CSV file for the events, `frames` one for every answer, `labels` a text file
    with a class name a line; a class is heard from the score `threshold` on. `hop`, as "250ms": of
    an export of whole windows. Without `pace` hops go as fast as answers come. `truth`: a JSON list
    of [start, stop] in seconds where the class `wake` (None: the first) is said, for the counts
    `wake_words`. `place` in the place of `port`: a board of a farm, as in `profile`.

    Raises BadInput for the sound, the folder or a model that does not take sound, Link without a
    board or when it is lost; the files keep what came.
    """
    from edgeq import listening
    from edgeq.files import path_of

    request = listening.ListenRequest(Path(wav), Path(firmware), port, probe, baud, path_of(log))
    request = replace(request, labels=path_of(labels), threshold=threshold, hop=hop, pace=pace)
    request = replace(request, place=place, coordinator=coordinator, labgrid=path_of(labgrid))
    request = replace(request, truth=path_of(truth), wake=wake, frames=path_of(frames))
    return listening.listen(request, listening.Watch())


def stop(which: str | int | None = None, everything: bool = False) -> list[dict[str, Any]]:
    """Stops an emulated board: that of a port or a pid, the only one, or all; which they were.

    Raises Link when there is none such, BadInput when `which` could mean several.
    """
    from edgeq import flashers
    from edgeq.flashers.text import running_json

    if which is not None and everything:
        raise BadInput("give a port, a pid or everything=True, not both")
    return running_json(flashers.stop(None if which is None else str(which), everything))


def doctor(port: str | None = None) -> dict[str, Any]:
    """What this computer lacks to build, flash and measure; each finding with its fix."""
    from edgeq.diagnosing import examine, examine_json

    return examine_json(examine(port))


def report(
    runs: str | Path | Sequence[str | Path],
    html: str | Path | None = None,
    png: str | Path | None = None,
) -> dict[str, Any]:
    """The report of one run or several (docs/report.md); their summaries, and what was written.

    `html` and `png` name files to write. Raises BadInput for a folder that holds no finished run,
    Toolchain without the extra `edgeq[report]`, or Chromium for PNGs.
    """
    from edgeq.reporting.write import read_subjects, report_json, write_report

    folders = [runs] if isinstance(runs, str | Path) else runs
    subjects = read_subjects(folders)
    places = [None if name is None else Path(name) for name in (html, png)]
    return report_json(subjects, write_report(subjects, *places))


def read_run(folder: str | Path) -> "Run":
    """Reads a run, whole or cut. Raises BadInput when there is none, or it is damaged."""
    from edgeq.harness.trace import read_run as run

    return run(folder)


def compare(a: str | Path, b: str | Path, fail_if: Sequence[str] = ()) -> dict[str, Any]:
    """What run B changes against run A, input by input; the object of `edgeq compare --json`.

    Every change is a fraction of A: 0.05 is 5 % more (accuracy: 5 points more). Two studies (of
    plan, inspect, pareto, search) are compared row by row. Raises BadInput for a rule that cannot
    be read, a folder without a run, or runs of different data.
    """
    from edgeq.comparing.comparison import compare as run

    return run(a, b, fail_if)


@needs("export", "mix")
def mix(
    models: Sequence[str | Path],
    out: str | Path,
    *,
    signal: str = "gap",
    escalate: float = 0.3,
) -> dict[str, Any]:
    """Writes the cascade of finished model files, cheapest first, to `out`; as `edgeq mix`.

    One file alone is a mixture's: its experts become the stages, its router goes. Returns the
    `experts`, the `shares` of the calibration `rows` that each answers, and `notes`. Raises
    ModelFile and BadInput for files that are no models or fit no cascade, and for an `out` that is
    one of them.
    """
    from edgeq.nn import Cascade, cascaded, load, mixed, save

    for path in models:
        if Path(path).exists() and Path(out).exists() and Path(path).samefile(out):
            raise BadInput(f"{out} is one of the models that are mixed; choose another file")
    parts = [load(path) for path in models]
    if len(parts) == 1:
        made = cascaded(parts[0], signal=signal, escalate=escalate)
    else:
        made = mixed(parts, signal=signal, escalate=escalate)
    save(made, out)
    assert isinstance(made.body, Cascade)  # which is what models are mixed into
    names = list(made.body.names)
    told: dict[str, Any] = {"out": str(out), "experts": names, "rows": 0, "shares": {}}
    if made.calibration is not None:
        route = made.predict(made.calibration)[1]
        assert route is not None  # a cascade has routes
        told["rows"] = len(route)
        told["shares"] = {n: float((route == i).mean()) for i, n in enumerate(names)}
    unsettled = "no calibration rows: `edgeq export --calibration` will settle the thresholds"
    return told | {"notes": [] if told["rows"] else [unsettled]}
