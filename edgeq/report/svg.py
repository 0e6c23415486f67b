"""Charts as SVG text: small pure functions. Colours are the page's CSS classes and variables."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

WIDTH = 720
LEFT = 210  # room of the row names
SERIES = 6  # colours s0..s5 of the page, then again


@dataclass(frozen=True)
class Bar:
    """One row of a bar chart; `note` is what a pointer shows. series None: the neutral colour."""

    name: str
    value: float
    text: str
    series: int | None = None
    note: str = ""


def bars(rows: Sequence[Bar], label: str) -> Markup:
    """Horizontal bars, one a row, longest as wide as the chart."""
    step, room = 22, WIDTH - LEFT - 110
    most = max((row.value for row in rows), default=0.0) or 1.0
    parts = []
    for i, row in enumerate(rows):
        y, width = i * step, room * row.value / most
        parts.append(
            _text(LEFT - 8, y + 15, _short(row.name), "end")
            + _rect(LEFT, y + 4, max(width, 0.5), step - 8, _kind(row.series), row.note)
            + _text(LEFT + width + 6, y + 15, row.text)
        )
    return _svg(WIDTH, len(rows) * step + 4, label, parts)


def histogram(
    groups: Sequence[tuple[str, Sequence[float]]], label: str, unit: str, bins: int = 48
) -> Markup:
    """Counts of every named group over one axis, a lane a group, each lane on its own scale."""
    values = [v for _, group in groups for v in group]
    if not values:
        return Markup("")
    low, high = min(values), max(values)
    edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    lane, room = 64, WIDTH - 60
    parts = []
    for g, (name, group) in enumerate(groups):
        counts = np.histogram(group, edges)[0]
        base, most = (g + 1) * lane, max(int(counts.max()), 1)
        for b, count in enumerate(counts.tolist()):
            if count:
                height = (lane - 14) * count / most
                note = f"{count} in {edges[b]:.4g} to {edges[b + 1]:.4g} {unit}"
                at = 30 + room * b / bins
                width = room / bins - 1
                parts.append(_rect(at, base - height, width, height, _kind(g), note))
        parts.append(_line(30, base, 30 + room, base) + _text(30, base - lane + 12, name))
    floor = len(groups) * lane + 16
    parts += _axis(float(edges[0]), float(edges[-1]), 30, 30 + room, floor, unit)
    return _svg(WIDTH, floor + 6, label, parts)


def scatter(
    points: Sequence[tuple[float, int, bool]], lanes: Sequence[str], label: str, unit: str
) -> Markup:
    """A point a sample: (value, lane, right); wrong answers are crosses."""
    if not points:
        return Markup("")
    high = max(value for value, _, _ in points) or 1.0
    lane, room = 56, WIDTH - 60
    parts = [
        _line(30, (k + 1) * lane, 30 + room, (k + 1) * lane) + _text(30, k * lane + 12, name)
        for k, name in enumerate(lanes)
    ]
    for i, (value, where, right) in enumerate(points):
        x = 30 + room * value / high
        y = where * lane + 20 + (i * 7919 % 100) / 100 * (lane - 26)  # spread, the same every time
        parts.append(
            f'<circle class="{_kind(where)}" cx="{x:.1f}" cy="{y:.1f}" r="2.2"/>'
            if right
            else f'<path class="wrong" d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"/>'
        )
    floor = len(lanes) * lane + 16
    parts += _axis(0.0, high, 30, 30 + room, floor, unit)
    return _svg(WIDTH, floor + 6, label, parts)


def heat_map(names: Sequence[str], matrix: Sequence[Sequence[int]], label: str) -> Markup:
    """Counts (label, answer); the shade is the share of the row. Numbers up to 20 classes."""
    side = max(8, min(34, 560 // max(len(names), 1)))
    left, top = 110, 84
    parts = []
    for i, (name, row) in enumerate(zip(names, matrix, strict=True)):
        y, whole = top + i * side, sum(row) or 1
        if side >= 12:
            parts.append(_text(left - 6, y + side / 2 + 4, _short(name, 14), "end"))
            parts.append(_turned(left + i * side + side / 2 + 4, top - 6, _short(name, 11)))
        for j, count in enumerate(row):
            note = f"label {name}, answer {names[j]}: {count}"
            share = count / whole
            kind = "hit" if i == j else "miss"
            at = left + j * side
            parts.append(_rect(at, y, side - 1, side - 1, "cell", note))
            if count:
                parts.append(_rect(at, y, side - 1, side - 1, kind, note, 0.15 + 0.85 * share))
            if count and side >= 22:
                strong = " strong" if share > 0.5 else ""
                middle = at + (side - 1) / 2
                parts.append(_text(middle, y + side / 2 + 4, str(count), "middle", "n" + strong))
    size = len(names) * side
    return _svg(left + size + 45, top + size + 6, label, parts)


def _axis(low: float, high: float, left: float, right: float, y: float, unit: str) -> list[str]:
    middle = (low + high) / 2
    return [
        _text(left, y, f"{low:.4g}"),
        _text((left + right) / 2, y, f"{middle:.4g} {unit}", "middle"),
        _text(right, y, f"{high:.4g}", "end"),
    ]


def _kind(series: int | None) -> str:
    """The CSS class of a series."""
    return "shared" if series is None else f"s{series % SERIES}"


def _short(name: str, most: int = 30) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _svg(width: float, height: float, label: str, parts: Sequence[str]) -> Markup:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{_safe(label)}">'
    )
    return Markup(head + "".join(parts) + "</svg>")


def _safe(text: str) -> str:
    """Escaped, and without the control characters that XML 1.0 cannot hold."""
    return str(escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)))


def _rect(
    x: float, y: float, width: float, height: float, kind: str, note: str, opacity: float = 1.0
) -> str:
    shade = f' fill-opacity="{opacity:.2f}"' if opacity < 1 else ""
    box = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{kind}" {box}{shade}><title>{_safe(note)}</title></rect>'


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "t") -> str:
    at = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {at}>{_safe(text)}</text>'


def _turned(x: float, y: float, text: str) -> str:
    turn = f'transform="rotate(-60 {x:.1f} {y:.1f})"'
    return f'<text class="t" x="{x:.1f}" y="{y:.1f}" {turn}>{_safe(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="axis" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
