"""The loop: hops of a sound to a board, at the sound's own pace, and what comes back."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeq.emit.firmware import layer_table
from edgeq.errors import Link
from edgeq.expected_board import check_board, known_board
from edgeq.export_folder import GRAPH, read_report
from edgeq.files import adding_lines
from edgeq.harness.link import BoardLink
from edgeq.ir.ports import inputs_of
from edgeq.listening.events import FRAME_HEADER, HEADER, Ear, Event, Heard, csv_line
from edgeq.listening.figures import FAST_BAUD, Figures, Line, Pace
from edgeq.listening.hearing import Hearing, hearing_of, names_of
from edgeq.listening.link_rate import carried
from edgeq.listening.wake_words import read_truth
from edgeq.passes.stored_graph import stored_graph
from edgeq.reporting.export import experts_of
from edgeq.reporting.stream import routing_entry
from edgeq.seat import seat_of
from edgeq.sound import Sound, read_wav
from edgeq.task import read_class_names


@dataclass(frozen=True)
class ListenRequest:
    """What to listen to; each field is the option of `edgeq listen` that has its name.

    `truth`: where the wake word `wake` is said (wake_words.py). `frames`: a CSV file of answers.
    None: the one board there is, no log, the export's own class names, a window from one to the
    next. `pace`: wait for each hop as a microphone does, or send as fast as answers come.
    """

    wav: Path
    firmware: Path = Path("build/export")
    port: str | None = None
    probe: str | None = None
    baud: int = 115200
    log: Path | None = None
    labels: Path | None = None
    threshold: float = 0.5
    hop: str | None = None
    pace: bool = True
    truth: Path | None = None
    wake: str | None = None
    frames: Path | None = None
    place: str | None = None
    coordinator: str | None = None
    labgrid: Path | None = None


Begins = Callable[[tuple[str, ...], Sound, tuple[str, ...], tuple[str, ...]], None]


@dataclass(frozen=True)
class Watch:
    """Who hears of it while it happens: of the classes, the sound, notes and the experts' names
    before it begins, of each answer (None: too early for one) with how far the sound is, of each
    event.
    """

    begins: Begins = lambda *_: None
    answer: Callable[[Heard | None, float], None] = lambda *_: None
    event: Callable[[Event], None] = lambda _: None
    ends: Callable[[dict[str, Any]], None] = lambda _: None


@dataclass
class _Run:
    """What one listening holds."""

    link: BoardLink
    hearing: Hearing
    sound: Sound
    ear: Ear
    pace: Pace
    add: Callable[[bytes], None]
    keep: Callable[[bytes], None]
    watch: Watch
    routes: list[int] = field(default_factory=list)
    doubts: list[float] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


def listen(request: ListenRequest, watch: Watch) -> dict[str, Any]:
    """Sends the sound; writes the log as it goes. Returns the summary (docs/listen.md).

    Raises BadInput or ModelFile for the folder, the sound or the options, Toolchain without scipy,
    Link without a board, or when it is lost, KeyboardInterrupt. In the last two cases `watch.ends`
    has the summary of what was heard, and the log holds it.
    """
    report, graph = read_report(request.firmware), stored_graph(request.firmware / GRAPH)
    labels = None if request.labels is None else read_class_names(request.labels)
    hearing, names = hearing_of(graph, request.hop), names_of(graph, report, labels)
    ear, sound = Ear(names, request.threshold), read_wav(request.wav, hearing.rate_hz)
    hearing.check(sound, request.wav)
    experts = tuple(e.name for e in experts_of(graph))
    truth = None if request.truth is None else read_truth(request.truth, names, request.wake)
    with (
        seat_of(request) as seat,
        _log(request.log, HEADER) as add,
        _log(request.frames, FRAME_HEADER) as keep,
        BoardLink.open(seat.port, seat.greeting_s, request.baud) as link,
    ):
        check_board(link.info(), report, graph, layer_table(graph), request.firmware)
        line = _line(link, hearing, seat.virtual, request.baud)
        pace = Pace(hearing.hop_s, hearing.heard_s(0), request.pace)
        run = _Run(link, hearing, sound, ear, pace, add, keep, watch)
        watch.begins(names, sound, line.words(request.pace), experts)
        figures = Figures(request.wav, hearing, sound, link.info(), known_board(link.info().board))
        stopped: str | None = None
        try:
            _hear(run)
        except KeyboardInterrupt:
            stopped = "interrupted"
            raise
        except Link as error:
            stopped = str(error)
            raise Link(f"{error}; {_kept(run, request)}") from error
        finally:
            files = request.log, request.frames
            summary = figures.entry(pace, run.events, line, link.statistics, *files, stopped)
            summary |= routing_entry(run.routes, run.doubts, list(experts))
            summary["wake_words"] = None if truth is None else truth.entry(run.events)
            watch.ends(summary)
    return summary


def _hear(run: _Run) -> None:
    inputs = inputs_of(run.hearing.graph)
    run.link.reset()
    run.pace.begin()
    for index, row in enumerate(run.hearing.rows(run.sound.samples)):
        run.pace.wait(index)
        started = time.monotonic()
        result = run.link.infer(index, inputs.pack(row))
        took_s = time.monotonic() - started
        run.pace.answered(index, took_s, result.cycles)
        heard_s = run.hearing.heard_s(index)
        if index < run.hearing.first:
            run.watch.answer(None, heard_s)
            continue
        scores = run.hearing.scores(result.output)
        said = result.route, result.uncertainty, result.cycles
        heard = Heard(index, heard_s, scores, *said, took_s)
        run.watch.answer(heard, heard_s)
        run.routes.append(heard.route)
        run.doubts.append(heard.uncertainty)
        run.keep(csv_line(run.ear.frame(heard)))
        for event in run.ear.hear(heard):
            run.add(csv_line(event))
            run.events.append(event)
            run.watch.event(event)


@contextlib.contextmanager
def _log(path: Path | None, header: bytes) -> Iterator[Callable[[bytes], None]]:
    if path is None:
        yield lambda _: None
        return
    with adding_lines(path) as add:
        add(header)
        yield add


def _line(link: BoardLink, hearing: Hearing, virtual: bool, baud: int) -> Line:
    """What the line carries, of a silent row, at a rate that is negotiated where sound needs it; a
    pseudo-terminal has none, and is asked all the same.
    """
    row = bytes(link.info().input_bytes)

    def carries(rate: int) -> float:
        return carried(link.info(), row, hearing.hop_s, rate)

    if baud < FAST_BAUD and (virtual or carries(baud) < 1):
        baud = link.hasten(FAST_BAUD, baud)
    return Line(baud, virtual, None if virtual else carries(baud))


def _kept(run: _Run, request: ListenRequest) -> str:
    """For the message of a board that was lost."""
    heard = (
        f"{run.pace.hops:,} hops, {run.pace.hops * run.hearing.hop_s:,.3f} s of sound, were heard"
    )
    if request.log is None:
        return f"{heard}; with --log FILE.csv their events are kept"
    return f"{heard}; their {len(run.events):,} events are kept in {request.log}"
