"""The proofs that an export runs before anything is written."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from edgeq.board import Board
from edgeq.compiled import Compiled
from edgeq.errors import Mismatch, Toolchain
from edgeq.files import scratch_folder
from edgeq.ops.op import Array
from edgeq.ops.routed import holds, without_hold
from edgeq.prove.check import Check
from edgeq.prove.firmware import check_on_twin, check_with
from edgeq.prove.forms import check_forms
from edgeq.prove.host import host_runner
from edgeq.sim.cores import CORES, RISCV_CORES
from edgeq.sim.faults import GuestFault
from edgeq.task import Task
from edgeq.toolchain.host import host_label

CHECKED_ROWS, MODEL_ROWS = 100, 200
ADVICE = (
    "give more calibration rows or another --method, train longer with the quantised layers, or "
    "pass --accept-mismatch to write it all the same"
)
ON_A_BOARD = "`edgeq verify EXPORT --port PORT` proves it on the board"


@dataclass(frozen=True)
class Subject:
    """What is proven: rows x (rows, *graph shape) float and `rows`, the same as int8.

    `board` is what `elf` was built for; `onnx` and `tflite` are the files, None where none is.
    """

    compiled: Compiled
    x: Array
    rows: Array
    board: Board
    elf: Path
    onnx: bytes | None
    tflite: bytes | None
    task: Task | None = None

    def first(self, count: int) -> "Subject":
        """Its first rows."""
        return replace(self, x=self.x[:count], rows=self.rows[:count])


def prove_export(subject: Subject, trained: Check, *, accept: bool = False) -> list[Check]:
    """All four proofs, `trained` being the model's. Raises Mismatch when that or firmware fails.

    `accept` lets the model's proof fail, and says so in its check; never the firmware's.
    """
    if not trained.passed and not trained.failed:  # one that nothing could run is told
        if not accept:
            raise Mismatch(f"model: {trained.said}; {ADVICE}")
        trained = replace(trained, accepted=True)
    subject = subject.first(CHECKED_ROWS)
    firmware = check_firmware(subject)
    refuse_firmware(firmware)
    return [trained, firmware, *forms(subject)]


def check_firmware(subject: Subject) -> Check:
    """On the board's virtual twin; where there is none, by the host build of the same sources.

    Where nothing can run it the check says so: it has no samples, and did not pass.
    """
    compiled, why = subject.compiled, f"no virtual {subject.board.core}"
    if subject.board.core in (*CORES, *RISCV_CORES):
        try:
            return check_on_twin(compiled.graph, subject.rows, subject.board, subject.elf)
        except GuestFault as fault:
            why = f"the virtual {subject.board.name} cannot run this port: {fault.report.reason}"
    with scratch_folder() as folder:
        try:
            runner = host_runner(compiled.graph, compiled.project, folder)
        except Toolchain as error:
            why = f"{why}, and {str(error).splitlines()[0]}"
            return Check.of_nothing("firmware", f"not proven: {why}; {ON_A_BOARD}")
        return check_with(compiled.graph, subject.rows, runner, f"{host_label()}; {why}")


def refuse_firmware(check: Check) -> None:
    """Mismatch for a firmware that ran and is not the reference."""
    if check.samples and not check.passed:
        raise Mismatch(
            f"firmware: {check.said}; a kernel or the compiler is wrong. Try --compiler or "
            "--optimize size, and report it"
        )


def forms(subject: Subject) -> Iterable[Check]:
    """ONNX and TFLite."""
    graph, files = subject.compiled.graph, (subject.onnx, subject.tflite)
    graph = without_hold(graph) if holds(graph) else graph
    return check_forms(graph, subject.x, subject.rows, *files, subject.task)
