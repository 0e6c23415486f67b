"""The confusion matrix."""

from edgeq.reporting.figures import style
from edgeq.reporting.figures.figure import Figure, ReportedRun

NUMBERS = 12  # classes: more columns than this have no room for counts


def confusion(subject: ReportedRun) -> Figure | None:
    """Counts (label, answer); the shade is the share of the row."""
    names = subject.summary.confusion.classes
    matrix = subject.summary.confusion.matrix
    if not names:
        return None
    shares = [[count / (sum(row) or 1) for count in row] for row in matrix]
    ticks = style.ticks(names, 12)
    clear = style.SERIES[0]
    red, green, blue = (int(clear[i : i + 2], 16) for i in (1, 3, 5))
    heat = {
        "type": "heatmap",
        "z": shares,
        "text": [[str(count) if count else "" for count in row] for row in matrix],
        "customdata": [
            [
                [style.text(label), style.text(name), count]
                for name, count in zip(names, row, strict=True)
            ]
            for label, row in zip(names, matrix, strict=True)
        ],
        "zmin": 0,
        "zmax": 1,
        "xgap": 1,
        "ygap": 1,
        "showscale": False,
        "colorscale": [
            [0, f"rgba({red},{green},{blue},0.06)"],
            [1, f"rgba({red},{green},{blue},1)"],
        ],
        "hovertemplate": "label %{customdata[0]}, answer %{customdata[1]}: %{customdata[2]}"
        "<extra></extra>",
    }
    if len(names) <= NUMBERS:
        heat["texttemplate"] = "%{text}"
    height = min(680, 160 + 32 * len(names))
    layout = style.layout(height, "answer of the board", "label", showlegend=False)
    layout["margin"] |= {"t": 16}
    layout["xaxis"] |= {**ticks, "tickangle": -45, "constrain": "domain", "showgrid": False}
    layout["yaxis"] |= {**ticks, "autorange": "reversed", "showgrid": False}
    export = subject.summary.export
    output = f"output {export.answer} of" if export and export.answer else "answers of"
    return Figure(
        "confusion",
        "Confusion",
        f"Accuracy {subject.summary.accuracy:.1%}, macro F1 {subject.summary.macro_f1:.3f}. "
        "The shade is the share of the row.",
        f"the {output} the board and the data set's labels",
        {"data": [heat], "layout": layout},
    )
