"""From the recorded samples to the summary of `edgeq profile`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.board import Board, Energy
from edgeq.emit.firmware import LayerInfo
from edgeq.emit.firmware_layers import CASCADE_OP
from edgeq.harness.messages import Info
from edgeq.harness.profile_summary import NO_COUNTER, VERSION, Summary
from edgeq.harness.trace import SampleRecord
from edgeq.ops.op import Array
from edgeq.reporting import statistics
from edgeq.reporting.clock_model import clock_model, clock_words
from edgeq.reporting.export import layer_name
from edgeq.reporting.task import UNLABELLED
from edgeq.sim.cores import CORES
from edgeq.task import ProfiledTask

FIRST_MISMATCHES = 10
NO_ACCURACY = {
    "autoencoder": "the labels of an autoencoder are no classes",
    "regression": "the labels of a regression are no classes",
    "detection": "the outputs of a detector are compared as they are",
    "segmentation": "the outputs of a segmentation are compared as they are",
    "unlabelled": "the data set has no labels",
}


@dataclass(frozen=True)
class Profiled:
    """What was measured: the board's word, its file (None if edgeq has none), and the model."""

    info: Info
    board: Board | None
    layers: tuple[LayerInfo, ...]
    experts: tuple[str, ...]
    class_names: tuple[str, ...]
    build: Mapping[str, Any]  # compiler and flags of the firmware, empty if unknown
    virtual: bool = False  # a twin answered, whose clock is modelled
    task: ProfiledTask = "classification"


def summarize(subject: Profiled, records: Sequence[SampleRecord]) -> Summary:
    """The summary, as far as the records give it; needs one or more."""
    cycles = [r.cycles for r in records]
    source = statistics.latency_source(subject.board, cycles, subject.virtual)
    labels = np.array([UNLABELLED if r.label is None else r.label for r in records], np.int64)
    answers = len(subject.class_names)  # values of the first output port
    predicted = np.array([r.output[:answers] for r in records]).argmax(axis=1)
    wrong = [r.index for r in records if r.mismatch]
    classes = subject.class_names if subject.task == "classification" else ()
    right = labels == predicted if classes else None
    entry = {
        "version": VERSION,
        "samples": len(records),
        "task": subject.task,
        "accuracy": statistics.accuracy(labels, predicted) if classes else None,
        "macro_f1": statistics.macro_f1(labels, predicted) if classes else None,
        "mismatches": len(wrong),
        "mismatch_samples": wrong[:FIRST_MISMATCHES],
        "latency": statistics.latency(cycles, subject.info.clock_hz, source),
        "experts": _experts(subject, records, right, source),
        "layers": _layers(subject.layers, records, source),
        "energy": statistics.energy(cycles, _figures(subject), source),
        "routes": _routes(subject, records),
        "uncertainty": _uncertainty(subject, records, right),
        "confusion": {
            "classes": list(classes),
            "matrix": statistics.confusion(labels, predicted, len(classes)) if classes else [],
        },
        "stack_bytes": max(r.stack_bytes for r in records) or None,
        **_identity(subject),
        "clock_model": _modelled_by(subject, source),
        "notes": _notes(subject, source),
    }
    return Summary.model_validate(entry)


def _figures(subject: Profiled) -> Energy | None:
    return subject.board.energy if subject.board else None


def _experts(
    subject: Profiled, records: Sequence[SampleRecord], right: Array | None, source: str
) -> list[dict[str, Any]]:
    routes = np.array([r.route for r in records])
    entries = []
    for e, name in enumerate(subject.experts):
        cycles = [r.cycles for r in records if r.route == e]
        entries.append(
            {
                "name": name,
                "count": len(cycles),
                "share": len(cycles) / len(records),
                "accuracy": float(right[routes == e].mean())
                if cycles and right is not None
                else None,
                "latency": statistics.latency(cycles, subject.info.clock_hz, source),
                "energy_joules_mean": statistics.energy(cycles, _figures(subject), source)[
                    "joules_mean"
                ],
            }
        )
    return entries


def _layers(
    layers: Sequence[LayerInfo], records: Sequence[SampleRecord], source: str
) -> list[dict[str, Any]]:
    """`cycles`: mean over the inferences in which the layer ran; `share`: of all cycles."""
    counts = np.array([r.layer_cycles for r in records], np.float64).reshape(len(records), -1)
    whole = sum(r.cycles for r in records)
    entries = []
    for info, column in zip(layers, counts.T, strict=True):
        ran = column[column > 0]
        known = ran.size > 0 and source != NO_COUNTER
        entries.append(
            {
                "name": layer_name(info),
                "op": info.op,
                "count": int(ran.size),
                "cycles": float(ran.mean()) if known else None,
                "share": float(ran.sum()) / whole if known else None,
            }
        )
    return entries


def _routes(subject: Profiled, records: Sequence[SampleRecord]) -> dict[str, int]:
    """By the experts that ran: in a cascade all up to the one that answered."""
    names = list(subject.experts)
    if any(info.op == CASCADE_OP for info in subject.layers):
        names = ["+".join(names[: e + 1]) for e in range(len(names))]
    return {name: sum(r.route == e for r in records) for e, name in enumerate(names)}


def _uncertainty(
    subject: Profiled, records: Sequence[SampleRecord], right: Array | None
) -> dict[str, float | None] | None:
    if not subject.experts:
        return None
    values = np.array([r.uncertainty for r in records])
    confidence = np.array([r.confidence for r in records])
    return statistics.uncertainty(values, confidence, right)


def _identity(subject: Profiled) -> dict[str, Any]:
    info, build = subject.info, subject.build
    return {
        "board": info.board,
        "evidence": "emulator" if subject.virtual else subject.board and subject.board.evidence,
        "clock_hz": info.clock_hz,
        "model": info.model,
        "model_digest": info.model_digest,
        "firmware_digest": info.firmware_digest,
        "compiler": build.get("compiler"),
        "flags": build.get("flags"),
    }


def _modelled_by(subject: Profiled, source: str) -> dict[str, Any] | None:
    """Rules and constants of a modelled count; None for any other."""
    if source != "modelled" or subject.board is None or subject.board.core not in CORES:
        return None
    return clock_model(subject.board)


def _notes(subject: Profiled, source: str) -> list[str]:
    notes = []
    if subject.task != "classification":
        notes.append(f"no accuracy: {NO_ACCURACY[subject.task]}")
    board = subject.board
    if board is None:
        notes.append(f"board {subject.info.board!r} has no board file: no energy, no evidence")
    if source == NO_COUNTER:
        notes.append(f"{subject.info.board} has no usable cycle counter: no latency, no energy")
    elif source == "unverified":
        notes.append(f"no run of {subject.info.board} on silicon is recorded in its board file")
    elif source == "modelled":
        notes.append(_clock_model(board))
    if board is not None:
        notes += slower_clock(subject.info.clock_hz, board)
    if board is not None and board.energy is None:
        notes.append(f"the board file of {board.name} has no energy figures")
    if not subject.build:
        notes.append("the firmware on the board was not built from this folder: flags unknown")
    return notes


def slower_clock(clock_hz: int, board: Board) -> list[str]:
    """The note of a board whose port gave an oscillator or PLL up; [] of one at its own clock."""
    if clock_hz == board.clock_hz:
        return []
    return [
        f"{board.name} runs at {clock_hz / 1e6:g} MHz, not at its {board.clock_hz / 1e6:g}: an "
        "oscillator or PLL did not become ready and its port fell back; times are of that clock"
    ]


def _clock_model(board: Board | None) -> str:
    """What the cycles are made of: the core's rules and the board's constants."""
    said = "latency comes from a clock model, not from silicon"
    if board is None or board.core not in CORES:
        return said
    return f"{said}: {clock_words(clock_model(board))}"
