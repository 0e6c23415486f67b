"""A profile as it is lived: cycles a frame, the worst hop, the time and the power that it takes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgeq.board import Energy
from edgeq.harness.profile_summary import NO_COUNTER
from edgeq.harness.record import SampleRecord
from edgeq.harness.stream_figures import StreamFigures
from edgeq.ir import Stream
from edgeq.plain_text import one_line
from edgeq.reporting.power import power, power_words


def stream_entry(
    stream: Stream,
    records: Sequence[SampleRecord],
    classes: int,
    clock_hz: int,
    figures: Energy | None,
    source: str,
    experts: Sequence[str] = (),
    first: int | None = None,
) -> dict[str, Any]:
    """`stream` of profile.json: a record is a hop. `classes`: values of the first output. `first`:
    the record of the first answer, where the stream does not say.

    Times and shares need to know how long a frame is, energies the board's figures; None without.
    `changes`: how often the largest output is another one than an answer before.
    """
    cycles = np.array([r.cycles for r in records], np.int64)
    answered = records[stream.first if first is None else first :]
    answers = np.array([r.output[:classes] for r in answered])
    best = answers.argmax(axis=1) if len(answers) else np.zeros(0, int)
    hop_s = None if stream.period_s is None else stream.hop * stream.period_s
    counted = source != NO_COUNTER
    busy = cycles / clock_hz
    return {
        "hop": stream.hop,
        "window": stream.window,
        "lookahead": stream.lookahead,
        "period_s": stream.period_s,
        "hops": len(records),
        "answers": len(answers),
        "changes": int((best[1:] != best[:-1]).sum()),
        "cycles_a_hop": float(cycles.mean()) if counted else None,
        "cycles_a_frame": float(cycles.mean()) / stream.hop if counted else None,
        "worst_cycles": int(cycles.max()) if counted else None,
        "worst_hop": int(cycles.argmax()) if counted else None,
        "duty_cycle": float(busy.mean()) / hop_s if counted and hop_s else None,
        "worst_share": float(busy.max()) / hop_s if counted and hop_s else None,
        **power(cycles.tolist(), hop_s, clock_hz, figures, source),
        **routing_entry([r.route for r in answered], [r.uncertainty for r in answered], experts),
    }


def routing_entry(
    route: Sequence[int], uncertainty: Sequence[float], experts: Sequence[str]
) -> dict[str, Any]:
    """How often each expert answered, how often another one than before, and the uncertainty, of
    answers in their order; {} without experts or answers.
    """
    if not experts or not route:
        return {}
    routes, doubts = np.array(route), np.array(uncertainty)
    counts = np.bincount(routes, minlength=len(experts))
    return {
        "routes": dict(zip(experts, counts.tolist(), strict=True)),
        "switches": int((routes[1:] != routes[:-1]).sum()),
        "uncertainty": {
            "mean": float(doubts.mean()),
            "p95": float(np.percentile(doubts, 95)),
            "max": float(doubts.max()),
        },
    }


def routing_words(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same for a terminal."""
    shown = ", ".join(f"{one_line(name)} {count:,}" for name, count in entry["routes"].items())
    doubt = entry["uncertainty"]
    return [
        ("routes", f"{shown}; {entry['switches']:,} times another one than before"),
        ("doubt", f"{doubt['mean']:.4g} mean, {doubt['p95']:.4g} p95, {doubt['max']:.4g} at most"),
    ]


def stream_words(figures: StreamFigures) -> list[tuple[str, str]]:
    """(what, how much) for a terminal."""
    hop = f"{figures.hop} frame{'s' if figures.hop > 1 else ''}"
    rows = [
        ("hops", f"{figures.hops:,} of {hop}, {figures.answers:,} with an answer"),
        ("changes", f"{figures.changes:,} of the largest output"),
    ]
    if figures.cycles_a_frame is not None and figures.worst_cycles is not None:
        each = figures.cycles_a_hop or figures.cycles_a_frame * figures.hop
        hops = [] if figures.hop == 1 else [("cycles a hop", f"{each:,.0f}")]
        rows += [
            *hops,
            ("cycles a frame", f"{figures.cycles_a_frame:,.0f}"),
            ("worst hop", f"{figures.worst_cycles:,} cycles (hop {figures.worst_hop})"),
        ]
    if figures.duty_cycle is not None and figures.worst_share is not None:
        share = f"{figures.duty_cycle:.2%} of the time, {figures.worst_share:.2%} in the worst hop"
        rows.append(("busy", share))
    if figures.joules_a_second is not None and figures.joules_band is not None:
        joules, band = figures.joules_a_second, figures.joules_band
        rows.append(("power", power_words(joules, band, figures.idle_counted)))
    if figures.routes is not None:
        rows += routing_words(figures.model_dump())
    if figures.period_s is None:
        rows.append(("time", "the model does not say how long a frame is (frame_s)"))
    return rows


def mean_power_words(entry: Mapping[str, Any]) -> str:
    """A line of the export's text."""
    idle = "idling not counted: the board file does not say it"
    if entry["idle_w"] is not None:
        idle = f"{entry['idle_w'] * 1e3:.4g} mW idle"
    hold = f", a hold of {entry['hold']:,}" if entry["hold"] else ""
    rows = f"{entry['rows']:,} {entry['of']} rows"
    return (
        f"power: {entry['mean_w'] * 1e3:.4g} mW in the mean of {rows}, "
        f"one every {entry['hop_s'] * 1e3:g} ms{hold}; busy {entry['busy']:.2%}, {idle} (modelled)"
    )


def deadline_words(entry: Mapping[str, Any]) -> str:
    """A line of the export's text."""
    front_end = entry["front_end_cycles"]
    own = f", {front_end:,} of them the front end's" if front_end else ""
    return (
        f"deadline: the worst case takes {entry['share']:.1%} of a hop of {entry['hop_s'] * 1e3:g} "
        f"ms ({entry['worst_cycles']:,} cycles{own}; modelled), {entry['margin_s'] * 1e3:,.4g} ms "
        "are left"
    )
