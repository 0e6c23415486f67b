"""An inspection for its reader: the terminal, the page, the run folder."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from edgeq.plain_text import plain
from edgeq.planning.folder import Told
from edgeq.planning.inspector import LOST
from edgeq.reporting.figures import Figure, style
from edgeq.reporting.fitted import Column, Paragraph, name_column, table
from edgeq.reporting.study_page import PageTable

Entry = Mapping[str, Any]
CARRIED = ("layer", "input", "kurtosis", "top 1 % energy", "saturated", "dead", "sum bits", "bound")


def inspect_text(result: Entry) -> RenderableType:
    """The object of `edgeq inspect --json`, for people."""
    result = plain(dict(result))
    carried = (name_column("layer"), *map(Column, CARRIED[1:]))
    losses = (name_column("loss at"), *map(Column, loss_columns(result)[1:]))
    return Group(
        Text(f"{result['model']}: {len(result['layers'])} layers", style="bold"),
        table("", carried, carried_rows(result)),
        Text(),
        table("", losses, loss_rows(result)),
        *(Paragraph(line) for line in said(result)),
        *(Paragraph(f"warning: {w['said']}", style="yellow") for w in result["warnings"]),
    )


def carried_rows(result: Entry) -> list[tuple[str, ...]]:
    """Cells of CARRIED."""
    return [
        (
            one["layer"],
            f"{one['low']:.3g} to {one['high']:.3g}",
            f"{one['kurtosis']:.1f}",
            f"{one['top_share']:.1%}",
            f"{one['saturated']:.2%}",
            f"{one['dead']}/{one['outputs']}",
            str(one["accumulator_bits"]),
            str(one["bound_bits"]),
        )
        for one in result["layers"]
    ]


def loss_columns(result: Entry) -> list[str]:
    """The widths, and what is beside them."""
    return ["layer", *result["bits"], "Hessian", "enough"]


def loss_rows(result: Entry) -> list[tuple[str, ...]]:
    """Cells of `loss_columns`."""
    return [
        (
            one["layer"],
            *(f"{one['losses'][kind]:.2g}" for kind in result["bits"]),
            "-" if one["trace"] is None else f"{one['trace']:.2g}",
            one["width"] or "none",
        )
        for one in result["layers"]
    ]


def said(result: Entry) -> Iterator[str]:
    """What the figures rest on."""
    labels = "with their labels" if result["labelled"] else "without labels"
    yield (
        f"{result['rows']} rows of {result['data']}, {labels}. Loss: {result['loss']} with that "
        f"layer alone at the width, less the float model's {result['base']:.4g}. enough: the "
        f"narrowest that loses at most {LOST:g}. Hessian: the mean of its diagonal for the weights."
    )
    yield (
        "sum bits: of the largest sum of int8 codes on these rows, sign included; bound: of the "
        "largest that any input makes. Input: range in the float model."
    )


def told(result: Entry, channels: Sequence[Mapping[str, Any]]) -> Told:
    """What goes into the run folder: a row a channel."""
    return Told(
        kind="inspect",
        result=result,
        keys=("layer", "side", "channel"),
        table=channels,
        title=f"{result['model']}: what its layers carry",
        said=list(said(result)),
        notes=[warning["said"] for warning in result["warnings"]],
        figures=[_losses(result), _outliers(result), *_channels(result, channels)],
        tables=[
            PageTable("What each layer carries", CARRIED, carried_rows(result)),
            PageTable("What each width loses", loss_columns(result), loss_rows(result)),
        ],
    )


def _losses(result: Entry) -> Figure:
    layers = result["layers"]
    data = [
        {
            "type": "bar",
            "name": style.text(kind),
            "x": list(range(len(layers))),
            "y": [max(one["losses"][kind], 1e-9) for one in layers],
            "marker": {"color": style.colour(i)},
        }
        for i, kind in enumerate(result["bits"])
    ]
    layout = style.layout(400, "", "loss, alone at that width", barmode="group")
    layout["xaxis"] |= style.ticks([one["layer"] for one in layers])
    layout["yaxis"]["type"] = "log"
    caption = "A short bar: the layer bears the width. Losses below 1e-9 are drawn there."
    plot = {"data": data, "layout": layout}
    return Figure("losses", "What each width loses", caption, _source(result), plot, wide=True)


def _outliers(result: Entry) -> Figure:
    layers = result["layers"]
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [one["kurtosis"] for one in layers],
            "y": [100 * one["top_share"] for one in layers],
            "text": [style.text(one["layer"]) for one in layers],
            "marker": {"color": style.colour(0), "size": 11},
            "hovertemplate": "%{text}: kurtosis %{x:.1f}, %{y:.1f} %<extra></extra>",
        }
    ]
    layout = style.layout(400, "kurtosis of the input", "energy in the top 1 % channels, %")
    title, caption = "Outliers", "Up and to the right one channel or few values set the step."
    return Figure("outliers", title, caption, _source(result), {"data": data, "layout": layout})


MOST_FIGURES = 60  # a deep net has more layers than a page takes


def _channels(result: Entry, channels: Sequence[Mapping[str, Any]]) -> Iterator[Figure]:
    """The range of each input channel, a figure a layer."""
    for at, one in enumerate(result["layers"][:MOST_FIGURES]):
        own = [c for c in channels if c["layer"] == one["layer"] and c["side"] == "input"]
        bar = {
            "type": "bar",
            "x": [c["channel"] for c in own],
            "y": [c["high"] - c["low"] for c in own],
            "base": [c["low"] for c in own],
            "marker": {"color": style.colour(at)},
            "hovertemplate": "channel %{x}: %{base:.3g} up by %{y:.3g}<extra></extra>",
        }
        layout = style.layout(280, "input channel", "range")
        title = f"Inputs of {one['layer']}"
        plot = {"data": [bar], "layout": layout}
        yield Figure(f"inputs_{_letters(at)}", title, "Low to high.", _source(result), plot)


def _letters(at: int) -> str:
    """A figure's key holds letters only."""
    return chr(97 + at // 26) + chr(97 + at % 26)


def _source(result: Entry) -> str:
    return f"the float model on {result['rows']} rows"
