"""The summary of a listening as lines for people, at most 80 columns each."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from edgeq.listening.events import BEGINS
from edgeq.listening.figures import FAST_BAUD
from edgeq.plain_text import one_line
from edgeq.reporting.power import power_words
from edgeq.reporting.stream import routing_words
from edgeq.sound import Sound

COLUMNS, LABEL = 80, 10


def summary_lines(entry: Mapping[str, Any]) -> list[str]:
    """One figure a line, folded between words."""
    lines = []
    for label, text in _rows(entry):
        indent = " " * LABEL
        lines += textwrap.wrap(
            f"{label:{LABEL}}{text}", COLUMNS, subsequent_indent=indent, break_on_hyphens=False
        )
    return lines


def start_lines(sound: Sound, notes: tuple[str, ...]) -> list[str]:
    """What was converted, and what is known of the line, before the first hop."""
    told = [f"sound: {note}" for note in sound.said] + [f"link: {note}" for note in notes]
    return [line for each in told for line in textwrap.wrap(each, COLUMNS, subsequent_indent="  ")]


def _rows(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    early = entry["hops"] - entry["answers"]
    fed = f", {early:,} before the first answer" if early else ""
    yield (
        "heard",
        (
            f"{entry['heard_s']:,.3f} of {entry['sound_s']:,.3f} s, {entry['hops']:,} hops of "
            f"{entry['hop_s'] * 1e3:g} ms{fed}"
        ),
    )
    counts = Counter(e["name"] for e in entry["events"] if e["event"] == BEGINS)
    shown = ", ".join(f"{name} {count}" for name, count in counts.most_common(8))
    yield "events", shown or "none"
    if entry.get("routes"):
        yield from routing_words(entry)
    if entry.get("wake_words"):
        yield "wake word", _wake_words(entry["wake_words"])
    if entry["latency_ms"]:
        yield "latency", _spread(entry["latency_ms"]) + " from sending a hop to its answer"
    if entry["board_ms"]:
        share = f"{entry['board_share']:.1%} of a hop"
        yield "board", f"{_spread(entry['board_ms'])}, {share} ({entry['board_source']})"
    if entry["joules_a_second"] is not None:
        figures = (entry[name] for name in ("joules_a_second", "joules_band", "idle_counted"))
        yield "power", power_words(*figures)
    if entry["real_time_factor"] is not None:
        yield "real time", _pace(entry)
    link = entry["link"]
    hurt = f"{link['crc_errors']:,} damaged frames, {link['retries']:,} requests repeated"
    yield "link", hurt
    if entry["log"]:
        yield "log", one_line(entry["log"])
    if entry.get("frames"):
        yield "frames", one_line(entry["frames"])


def _wake_words(counts: Mapping[str, Any]) -> str:
    """As MLPerf Tiny's runner counts."""
    return (
        f"{one_line(counts['class'])}: {len(counts['true_positives'])} heard, "
        f"{len(counts['false_negatives'])} missed, {len(counts['false_positives'])} false"
    )


def _spread(ms: Mapping[str, float]) -> str:
    return f"{ms['mean']:.1f} ms mean, {ms['p95']:.1f} ms p95, {ms['worst']:.1f} ms worst"


def _pace(entry: Mapping[str, Any]) -> str:
    factor = f"{entry['real_time_factor']:.2f}x"
    late = ""
    if entry["late_hops"]:
        late = f"; {entry['late_hops']:,} answers late, {entry['behind_s']:.1f} s behind at the end"
    if entry["real_time_factor"] >= 1:
        return f"{factor}{late or ', every answer in time' * bool(entry['paced'])}"
    return f"{factor}, slower than sound{late}: {_cause(entry)}"


def _cause(entry: Mapping[str, Any]) -> str:
    """What takes longer than the sound."""
    share = entry["board_share"]
    if share is not None and share >= 1:
        return f"the board takes {share:.2f} of a hop; a cheaper model or a longer hop fits"
    if entry["virtual"]:
        keeps = "" if share is None else "; the board itself would keep up"
        return f"this computer emulates the board{keeps}"
    if entry["line_carries"] is not None and entry["line_carries"] < 1:
        return f"{entry['baud']:,} baud carry {entry['line_carries']:.2f} of it"
    faster = f"; try --baud {FAST_BAUD} here and in `edgeq flash`" * (entry["baud"] < FAST_BAUD)
    return f"the link, and its repetitions{faster}"
