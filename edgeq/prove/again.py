"""`edgeq verify`: the proofs of an export folder once more, on the twin or on a real board."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.board import Board, target_board
from edgeq.compiled import Compiled, compile_graph
from edgeq.errors import BadInput, Link, Mismatch
from edgeq.estimating import Estimated, of_folder
from edgeq.export_folder import read_report
from edgeq.files import scratch_folder
from edgeq.harness.link import BoardLink
from edgeq.ir.ports import inputs_of, outputs_of
from edgeq.ops.op import Array
from edgeq.plain_text import command
from edgeq.prove.check import Check
from edgeq.prove.export import Subject, check_firmware, forms
from edgeq.prove.firmware import answer_of, compare, name_of
from edgeq.prove.trials import ROWS, as_they_come, trials
from edgeq.reference import memories, real_inputs
from edgeq.task import checked_task
from edgeq.toolchain import OPTIMIZE, Compiler, build, with_board

GREETING_S = 20.0
ONNX, TFLITE = "model.onnx", "model.tflite"


def verify_folder(
    folder: Path, compiler: Compiler | None, port: str | None, baud: int
) -> tuple[Estimated, list[Check]]:
    """The proofs that the folder allows: the firmware's, on `port` if given, ONNX and TFLite.

    `compiler` builds the folder's own sources for the twin; it is not needed with a port. Rows are
    the folder's evaluation rows, else random ones. Raises ModelFile for a folder that is no export,
    Link when there is no board or another model on it, Toolchain.
    """
    model = of_folder(folder)
    compiled = compile_graph(model.graph, model.name, model.digest, project=model.project)
    files = [_bytes(folder / name) for name in (ONNX, TFLITE)]
    task = checked_task(read_report(folder).get("task"))
    if port is not None:
        firmware = on_board(compiled, model.rows, folder, port, baud)
        subject = _subject(compiled, model.rows, target_board("cortex-m4"), Path(), files)
    else:
        board = target_board(str(read_report(folder)["target"]))
        with scratch_folder() as scratch:
            project = with_board(compiled.project, board)
            if compiler is None:
                raise BadInput("without a port the firmware is built: a compiler is needed")
            built = build(project, board, compiler, scratch / "build", OPTIMIZE)
            subject = _subject(compiled, model.rows, board, built.elf, files)
            firmware = check_firmware(subject)
    subject = replace(subject, task=task)
    return model, [firmware, *(_held(check) for check in forms(subject))]


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error


def _subject(
    compiled: Compiled, rows: Array, board: Board, elf: Path, files: Sequence[bytes | None]
) -> Subject:
    onnx, tflite = files
    return Subject(compiled, real_inputs(compiled.graph, rows), rows, board, elf, onnx, tflite)


def _held(check: Check) -> Check:
    """A form of the folder may differ by steps; one that answers another model's is refused."""
    if check.failed:
        return check
    return replace(check, passed=not check.strays)


def on_board(compiled: Compiled, rows: Array, folder: Path, port: str, baud: int) -> Check:
    """The firmware that runs at `port`, over its serial link, on rows that take each route.

    Routes that no row takes are named: a board cannot be sent there.
    """
    asked = [t for each in trials(compiled.graph, rows, 2 * ROWS) for t in each if t.forced is None]
    if memories(compiled.graph):  # those that were left out are no part of the sequence
        asked = as_they_come(compiled.graph, np.stack([t.row for t in asked]))
    with BoardLink.open(port, GREETING_S, baud) as link:
        info = link.info()
        if info.model_digest != compiled.digest:
            again = command("edgeq", "flash", "--board", info.board, "--firmware", folder)
            raise Link(
                f"the board runs model {info.model_digest}, {folder} holds {compiled.digest}; "
                f"run `{again}`"
            )
        inputs, outputs = inputs_of(compiled.graph), outputs_of(compiled.graph)
        if (info.inputs, info.outputs) != (inputs, outputs):
            raise Link(
                f"the board takes {info.inputs.said} and gives {info.outputs.said}, "
                f"{folder} says {inputs.said} and {outputs.said}: flash it again"
            )
        link.reset()
        runs = (link.infer(i, inputs.pack(t.row)) for i, t in enumerate(asked))
        answers = [answer_of(compiled.graph, result) for result in runs]
    check = compare(compiled.graph, asked, answers, f"{info.board} at {port}")
    every = {name_of(compiled.graph, t.experts) for t in trials(compiled.graph, rows, 1)[0]}
    unseen = ", ".join(sorted(every - set(check.routes or {})))
    return replace(check, said=f"{check.said}; no row takes {unseen}") if unseen else check


def verified(folder: Path, model: Estimated, checks: Sequence[Check]) -> dict[str, Any]:
    """The JSON object of `edgeq verify`."""
    return {
        "export": str(folder),
        "model": model.name,
        "model_digest": model.digest,
        "rows_of": model.rows_of,
        "passed": all(check.passed for check in checks),
        "checks": [check.entry for check in checks],
    }


def refuse_failed(result: dict[str, Any]) -> None:
    """Mismatch that names the proofs which did not pass."""
    failed = [f"{c['name']}: {c['said']}" for c in result["checks"] if not c["passed"]]
    if failed:
        raise Mismatch("; ".join(failed))
