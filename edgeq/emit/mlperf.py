"""The tasks of MLPerf Tiny: what their data files hold, and whether a model can take it.

Shapes and encodings are those of the reference submissions (mlcommons/tiny,
benchmark/reference_submissions/*/submitter_implemented.cpp).
"""

from dataclasses import dataclass

from edgeq.errors import BadInput
from edgeq.ir import Graph
from edgeq.ops.log_mel import sound_rate
from edgeq.ops.op import quant_of
from edgeq.ops.softmax import ends_in_probabilities


@dataclass(frozen=True)
class Task:
    """`input_shape` is channels last, as the runner sends it; `outputs` is the number of results.

    `encoding`: what a byte of `db` is, see firmware_templates/runtime/mlperf_input.h.
    """

    title: str
    input_shape: tuple[int, ...]
    outputs: int
    encoding: str | None = None


TASKS: dict[str, Task] = {
    "ad01": Task("anomaly detection", (640,), 640, "FLOATS"),
    "ic01": Task("image classification", (32, 32, 3), 10, "PIXELS"),
    "kws01": Task("keyword spotting", (49, 10, 1), 12),
    "vww01": Task("visual wake words", (96, 96, 3), 2, "PIXELS"),
}

# The fifth has no data files: its device hears sound, by `edgeq flash --microphone`.
HEARS = "sww01"
HEARS_HZ = 16_000
IDS = (*TASKS, HEARS)


def encoding(mlperf_id: str) -> str | None:
    """What a byte of `db` is, as `Task` has it; BadInput for an id that MLPerf Tiny lacks."""
    if mlperf_id == HEARS:
        return None
    return task(mlperf_id).encoding


def task(mlperf_id: str) -> Task:
    """BadInput for an id of no task with data files."""
    if mlperf_id not in TASKS:
        raise BadInput(f"MLPerf Tiny id {mlperf_id!r}: one of {', '.join(IDS)}")
    return TASKS[mlperf_id]


def fitting_task(graph: Graph, mlperf_id: str) -> list[str]:
    """What the user should know of a quantised graph under `mlperf_id`.

    Raises BadInput when inputs or outputs are not the task's: the runner's data would not fit.
    """
    if mlperf_id == HEARS:
        return _hearing(graph)
    wanted = task(mlperf_id)
    source, result = (graph.tensors[name] for name in (graph.inputs[0], graph.outputs[0]))
    shape = tuple(source.shape)
    _refuse_other_shape(mlperf_id, "input", wanted.input_shape, shape)
    _refuse_other_shape(mlperf_id, "output", (wanted.outputs,), tuple(result.shape))
    notes = [_reading(mlperf_id, graph)]
    if not ends_in_probabilities(graph) and mlperf_id != "ad01":
        notes.append(
            f"{mlperf_id}: the runner divides every result by the sum of all; end the model with "
            "nn.Softmax, so that results are probabilities"
        )
    return notes


def _hearing(graph: Graph) -> list[str]:
    """Of streaming wake words: hops of sound at the runner's rate, scores of classes."""
    source, stream = graph.tensors[graph.inputs[0]], graph.stream
    rate_hz = sound_rate(graph)
    said = f"--mlperf {HEARS} (streaming wake words): "
    if rate_hz is None:
        raise BadInput(
            f"{said}the board hears one channel of sound, the model takes {_text(source.shape)} "
            "values; begin it with nn.LogMel, which makes features on the board"
        )
    if rate_hz != HEARS_HZ:
        raise BadInput(f"{said}its sound has {HEARS_HZ:,} Hz, that of the model {rate_hz:,} Hz")
    if stream is None:
        raise BadInput(f"{said}the model takes whole windows; add --stream hop=32ms, say")
    if graph.tensors[graph.outputs[0]].size < 2:
        raise BadInput(f"{said}one of several outputs is the wake word, the model has one value")
    return [
        f"{HEARS}: build it with `edgeq flash --microphone`; output 0 is the wake word, another by "
        f"`start {HEARS_HZ} N%`"
    ]


def _refuse_other_shape(
    mlperf_id: str, what: str, wanted: tuple[int, ...], given: tuple[int, ...]
) -> None:
    if _squeezed(wanted) != _squeezed(given):
        raise BadInput(
            f"--mlperf {mlperf_id} ({TASKS[mlperf_id].title}): its {what} is {_text(wanted)}, that "
            f"of the model {_text(given)}; leave --mlperf out, or give the model of that task"
        )


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """One channel more or less is the same data."""
    return tuple(size for size in shape if size != 1)


def _text(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _reading(mlperf_id: str, graph: Graph) -> str:
    """What the firmware takes a byte of the data files for."""
    quant = quant_of(graph.tensors[graph.inputs[0]])
    scale, zero = quant.per_tensor, quant.zero_point
    if TASKS[mlperf_id].encoding == "FLOATS":
        return f"{mlperf_id}: inputs are float32, quantised on the device in steps of {scale:.6g}"
    kind, offset = ("pixel", zero + 128) if TASKS[mlperf_id].encoding else ("int8", zero)
    return (
        f"{mlperf_id}: a {kind} p of a data file is read as {scale:.6g} * (p - {offset}); the "
        "calibration data must have had that scale"
    )
