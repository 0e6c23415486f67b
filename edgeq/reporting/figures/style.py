"""One look for all figures: colours, symbols, sizes, and names that cannot be markup."""

import html
from collections.abc import Sequence
from typing import Any

# Told apart by colour-blind readers too; a contrast of 3 or more to the white and the dark page.
SERIES = ("#2f7fc1", "#d55e00", "#009e73", "#b8609a", "#a67c00", "#6f7fd8")
SHARED = "#7a8490"
WRONG = "#d63a4a"
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "pentagon", "hexagon")
SHORT = 22  # characters of a name beside an axis; the whole one is in the hover text
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


def colour(series: int) -> str:
    """The colour of a series, again from the first after the last."""
    return SERIES[series % len(SERIES)]


def text(name: str) -> str:
    """A name as text: plotly reads tags and entities, names of models have neither."""
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return html.escape(printable)


def short(name: str, most: int = SHORT) -> str:
    """A name cut in its middle, for beside an axis."""
    if len(name) > most:
        head = (most - 1) // 2
        name = name[:head] + "…" + name[len(name) - (most - 1 - head) :]
    return text(name)


def ticks(names: Sequence[str], most: int = SHORT) -> dict[str, Any]:
    """Names at 0, 1, 2, ... of an axis; numbered where two would look the same."""
    cut = [short(name, most) for name in names]
    shown = [
        label if cut.count(label) == 1 else short(f"{at} {name}", most)
        for at, (label, name) in enumerate(zip(cut, names, strict=True))
    ]
    return {"tickvals": list(range(len(names))), "ticktext": shown}


def layout(height: int, x: str, y: str, **more: object) -> dict[str, Any]:
    """The layout of a figure. Colours of text and lines come from the page's style sheet."""
    # clear ticks keep the labels of both axes apart where they meet
    outside = {"ticks": "outside", "ticklen": 6, "tickcolor": "rgba(0,0,0,0)"}
    axis = {"automargin": True, "zeroline": False, **outside}
    return {
        "height": height,
        "margin": {"l": 8, "r": 16, "t": 40, "b": 8, "pad": 4},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 12},
        "hoverlabel": {"bgcolor": "#20262d", "bordercolor": "#20262d", "font": {"color": "#fff"}},
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "itemwidth": 30},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": SHARED, "activecolor": SERIES[0]},
        "xaxis": {**axis, "title": {"text": x, "standoff": 8}},
        "yaxis": {**axis, "title": {"text": y, "standoff": 8}},
        "bargap": 0.15,
        **more,
    }
