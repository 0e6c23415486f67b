"""The memory map: flash by section, and the arena over the steps of an inference."""

from edgeq.reporting.figures import style
from edgeq.reporting.figures.figure import Figure, ReportedRun


def flash(subject: ReportedRun) -> Figure | None:
    """A bar a section; None for a firmware that edgeq did not build."""
    memory = subject.summary.memory
    parts = {k: v for k, v in memory.flash.items() if v} if memory else {}
    if not parts:
        return None
    names = list(parts)
    shades = [_shade(name, subject) for name in names]
    bar = {
        "type": "bar",
        "orientation": "h",
        "y": list(range(len(names))),
        "x": list(parts.values()),
        "text": [f"{size:,} B" for size in parts.values()],
        "textposition": "auto",
        "cliponaxis": False,
        "customdata": [style.text(name) for name in names],
        "marker": {"color": shades},
        "hovertemplate": "%{customdata}: %{x:,} B<extra></extra>",
    }
    layout = style.layout(100 + 30 * len(names), "bytes of flash", "", showlegend=False)
    layout["margin"] |= {"t": 16}
    layout["xaxis"] |= {"rangemode": "tozero"}
    layout["yaxis"] |= {"autorange": "reversed", **style.ticks(names)}
    return Figure(
        "flash",
        "Flash by section",
        f"{sum(parts.values()):,} B in all; weights by the layers that read them.",
        f"the linker ({subject.summary.compiler})",
        {"data": [bar], "layout": layout},
    )


def _shade(name: str, subject: ReportedRun) -> str:
    owner = name.removeprefix("weights, ")
    known = owner != name and owner in subject.experts
    return style.colour(subject.experts.index(owner)) if known else style.SHARED


def arena(subject: ReportedRun) -> Figure | None:
    """A box a buffer: its bytes, and the steps in which it is in use."""
    memory = subject.summary.memory
    if memory is None or not memory.buffers:
        return None
    buffers = memory.buffers
    boxes = {
        "type": "bar",
        "x": [(b.first + b.last) / 2 for b in buffers],
        "width": [b.last - b.first + 0.92 for b in buffers],
        "base": [b.offset for b in buffers],
        "y": [b.bytes for b in buffers],
        "customdata": [[style.text(b.name), b.offset] for b in buffers],
        "marker": {
            "color": [style.colour(i) for i in range(len(buffers))],
            "line": {"width": 1, "color": style.SHARED},
        },
        "hovertemplate": "%{customdata[0]}: %{y:,} B at offset %{customdata[1]:,}<extra></extra>",
    }
    layout = style.layout(380, "", "bytes of the arena", showlegend=False, barmode="overlay")
    steps = memory.steps
    layout["xaxis"] |= {"tickangle": -60, **style.ticks(steps, 16)}
    layout["xaxis"] |= {"range": [-0.6, len(steps) - 0.4]}
    layout["margin"] |= {"t": 16}
    when = f" when {memory.arena_expert} answers" if memory.arena_expert else ""
    return Figure(
        "arena",
        "Arena over time",
        f"{memory.arena_bytes:,} B in all; who holds which bytes at each step{when}.",
        "edgeq's memory plan: exact",
        {"data": [boxes], "layout": layout},
    )
