"""A plan for its reader: the terminal's tables, the page, the rows of its run folder."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from edgeq.plain_text import plain
from edgeq.planning.folder import Told
from edgeq.planning.noise import MANY, ROWS
from edgeq.reporting.figures import Figure, style
from edgeq.reporting.fitted import Column, Paragraph, name_column, table
from edgeq.reporting.kernel_words import short_op
from edgeq.reporting.profile_text import joules, milliseconds
from edgeq.reporting.study_page import PageTable

Entry = Mapping[str, Any]
MOST_ERROR = 0.005  # of predicted against counted cycles: above it a note says so
COSTS = ("plan", "cycles", "ms", "energy", "flash B", "RAM B", "loss")
LAYERS = ("layer", "op", "width", "cycles", "weights B", "loss", "of uniform int8 cycles")


def plan_text(result: Entry) -> RenderableType:
    """The object of `edgeq plan --json`, for people."""
    result = plain(dict(result))
    head = Text(f"{result['model']} on {result['board']}: a width a layer", style="bold")
    columns = (
        name_column("layer"),
        Column("op", right=False, short=short_op, drop=0),
        Column("width", right=False),
        *map(Column, ("cycles", "weights B", "loss")),
    )
    costs = (name_column("plan"), *map(Column, COSTS[1:]))
    return Group(
        head,
        table("", columns, [row[:6] for row in layer_rows(result)]),
        Text(),
        table("", costs, cost_rows(result)),
        *(Paragraph(line) for line in said(result)),
        *(Paragraph(f"note: {note}", style="yellow") for note in notes(result)),
    )


def layer_rows(result: Entry) -> list[tuple[str, ...]]:
    """Cells of LAYERS."""
    rows: list[tuple[str, ...]] = []
    for layer in result["layers"]:
        choice = _chosen(layer)
        widest = layer["choices"][-1]
        share = f"{choice['cycles'] / widest['cycles']:.0%}" if widest["cycles"] else "-"
        numbers = (f"{choice['cycles']:,.0f}", f"{choice['weight_bytes']:,}", _loss_of(choice))
        rows.append((layer["layer"], layer["op"], layer["width"], *numbers, share))
    return rows


def _chosen(layer: Entry) -> Entry:
    found: Entry = next(c for c in layer["choices"] if c["width"] == layer["width"])
    return found


def cost_rows(result: Entry) -> list[tuple[str, ...]]:
    """The plan as predicted and as counted, and the model at each width throughout."""
    rows = [("this plan, predicted", result["predicted"]), ("this plan, built", result["counted"])]
    rows += [
        (f"all {u['width']}{'' if u['meets'] else ' (over budget)'}", u) for u in _uniform(result)
    ]
    return [
        (
            name,
            f"{f['cycles']:,.0f}",
            milliseconds(1e3 * f["latency_s"]),
            joules(f["energy_j"]),
            f"{f['flash_bytes']:,}",
            f"{f['ram_bytes']:,}",
            loss(f["sensitivity"]),
        )
        for name, f in rows
    ]


def _uniform(result: Entry) -> Sequence[Entry]:
    found: Sequence[Entry] = result["uniform"]
    return found


def loss(value: float) -> str:
    """Three digits; what rounding makes below zero is shown as it is."""
    return f"{value:.3g}"


def _loss_of(choice: Entry) -> str:
    """With its standard error, where there is one."""
    error = choice["loss_error"]
    return loss(choice["loss"]) + ("" if error is None else f" ±{error:.1g}")


def said(result: Entry) -> Iterator[str]:
    """What the plan rests on, in sentences."""
    labels = "with their labels" if result["labelled"] else "without labels"
    yield (
        f"loss: {result['loss']} of each layer alone at its width on {result['rows']} calibration "
        f"rows, {labels}, ± its standard error, summed over the layers. Cycles and energy: "
        "modelled."
    )
    budget = ", ".join(budget_words(result["budget"])) or "the board's own memory"
    learned = result.get("learned")
    if learned is None:
        yield f"budget: {budget}; the least loss within it, by integer program (HiGHS)."
        return
    bits = ", ".join(f"{name} {value:.2f}" for name, value in learned["bits"].items())
    yield (
        f"budget: {budget}; learned in {learned['epochs']} epochs on {learned['data']} at a price "
        f"of {learned['price']:g} on {learned['against']} (DiffQ), from bits of {bits}."
    )


def budget_words(budget: Mapping[str, float]) -> Iterator[str]:
    """ "latency 20 ms", "flash 131,072 B"."""
    for name, value in budget.items():
        what = name.removeprefix("max_").rpartition("_")[0]
        if name.endswith("_s"):
            yield f"{what} {1e3 * value:g} ms"
        elif name.endswith("_j"):
            yield f"{what} {1e3 * value:g} mJ"
        else:
            yield f"{what} {value:,.0f} B"


def notes(result: Entry) -> Iterator[str]:
    """What a reader must not miss."""
    if abs(result["cycles_error"]) > MOST_ERROR:
        yield (
            f"the table predicted {result['cycles_error']:+.2%} cycles against the plan's own "
            "firmware; its figures are the second row"
        )
    if (beside := result["against_uniform"]) is not None and not beside["shown"]:
        yield _noise(beside, result["rows"])


def _noise(beside: Entry, rows: int) -> str:
    """That the loss does not tell the plan from one width throughout, and what would."""
    width, error = beside["width"], f"{beside['error']:.1g}"
    if beside["rows_needed"] is None:
        return (
            f"on {rows} rows the plan loses no less than {width} throughout, which meets the "
            "budget too: ship that, or weigh on more rows (--calibration)"
        )
    many = beside["rows_needed"]
    more = f"about {many:,}" if many <= MANY else f"more than {MANY:,}"
    does = "give as many (--calibration)"
    if many > ROWS:  # they would not be used
        does = "take either, or let edgeq pareto --plan judge both"
    return (
        f"{width} throughout meets the budget, too, and loses {beside['difference']:.2g} ±{error} "
        f"more than the plan: {rows} rows do not tell them apart, {more} would; {does}"
    )


def told(result: Entry) -> Told:
    """What goes into the run folder."""
    rows = [
        {"layer": layer["layer"], **choice, "chosen": choice["width"] == layer["width"]}
        for layer in result["layers"]
        for choice in layer["choices"]
    ]
    return Told(
        kind="plan",
        result=result,
        keys=("layer", "width"),
        table=rows,
        title=f"{result['model']} on {result['board']}: a width for each layer",
        said=list(said(result)),
        notes=list(notes(result)),
        figures=[_widths(result), _losses(result)],
        tables=[
            PageTable("Layers", LAYERS, layer_rows(result)),
            PageTable("Costs", COSTS, cost_rows(result)),
        ],
    )


def _widths(result: Entry) -> Figure:
    """Cycles of each layer: as planned, and at the widest width."""
    layers = result["layers"]
    at = list(range(len(layers)))
    planned = [_chosen(layer)["cycles"] for layer in layers]
    widest = [layer["choices"][-1]["cycles"] for layer in layers]
    names = [layer["layer"] for layer in layers]
    widths = [style.text(layer["width"]) for layer in layers]
    data = [
        _bars("the plan", at, planned, 0, widths),
        _bars(f"all {layers[0]['choices'][-1]['width']}", at, widest, 1, None),
    ]
    layout = style.layout(380, "", "cycles", barmode="group")
    layout["xaxis"] |= style.ticks(names)
    title = "Cycles of each layer"
    caption = "The planned width stands on the bar."
    return Figure("cycles", title, caption, "modelled", {"data": data, "layout": layout}, wide=True)


def _bars(
    name: str, at: Sequence[int], values: Sequence[float], series: int, text: object
) -> dict[str, Any]:
    return {
        "type": "bar",
        "name": style.text(name),
        "x": list(at),
        "y": list(values),
        "text": text,
        "marker": {"color": style.colour(series)},
    }


def _losses(result: Entry) -> Figure:
    """Loss against cycles of every choice, a line a layer."""
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": style.short(layer["layer"]),
            "x": [c["cycles"] for c in layer["choices"]],
            "y": [max(c["loss"], 1e-9) for c in layer["choices"]],
            "text": [style.text(c["width"]) for c in layer["choices"]],
            "marker": {"color": style.colour(i), "symbol": style.SYMBOLS[i % len(style.SYMBOLS)]},
            "hovertemplate": "%{text}: %{x:,} cycles, loss %{y:.3g}<extra>%{fullData.name}</extra>",
        }
        for i, layer in enumerate(result["layers"])
    ]
    layout = style.layout(420, "cycles of the layer", "loss, alone at that width")
    layout["yaxis"]["type"] = "log"
    return Figure(
        "losses",
        "What each width costs and loses",
        "A point a width; down and to the left is better. Losses below 1e-9 are drawn there.",
        f"{result['loss']}, {result['rows']} rows; cycles modelled",
        {"data": data, "layout": layout},
        wide=True,
    )
