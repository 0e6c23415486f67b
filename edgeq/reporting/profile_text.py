"""The summary of a profile for a terminal and for profile.txt."""

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from edgeq.harness.profile_summary import (
    LATENCY_KEYS,
    Confusion,
    EnergyFigures,
    ExpertFigures,
    ExportFacts,
    Latency,
    LayerFigures,
    Summary,
)
from edgeq.harness.stream_figures import StreamFigures
from edgeq.reporting.clock_model import without_rules
from edgeq.reporting.energy_words import energy_words
from edgeq.reporting.fitted import Column, FittedTable, Paragraph, name_column, table
from edgeq.reporting.kernel_words import short_op
from edgeq.reporting.port_words import COLUMNS, port_rows
from edgeq.reporting.stream import stream_words

SMALLEST_MS = 1e-5
CONFUSION_CLASSES = 20  # more columns than this no terminal shows


def profile_text(summary: Summary, verbose: bool = False) -> RenderableType:
    """The same as `--json`, for people; `verbose`: with flags, digest, energy's source."""
    summary = summary.printable
    parts: list[RenderableType] = _head(summary, verbose)
    if summary.export and summary.export.told:
        parts += [Text(), _ports(summary.export)]
    if summary.stream:
        parts += [Text(), _stream(summary.stream)]
    if summary.experts:
        parts += [Text(), _experts(summary.experts)]
        if summary.energy.experts:
            parts += [Text(), _measured_experts(summary.energy)]
    if summary.alone:
        alone = summary.alone.model_dump()
        parts += [Text(), _alone(alone), Paragraph(summary.alone.gain.said)]
    if summary.signals:
        parts += [Text(), signals_table([signal.model_dump() for signal in summary.signals])]
    parts += [Text(), _layers(summary.layers)]
    if 0 < len(summary.confusion.classes) <= CONFUSION_CLASSES:
        parts += [Text(), _confusion(summary.confusion)]
    notes = summary.notes if verbose else map(without_rules, summary.notes)
    parts += [Paragraph(f"note: {note}", style="yellow") for note in notes]
    return Group(*parts)


def milliseconds(value: float | None) -> str:
    """Four digits are all that a latency carries; a part of a cycle is none."""
    if value is None:
        return "-"
    return "0" if value < SMALLEST_MS else f"{value:#.4g}".removesuffix(".")


def percent(value: float | None) -> str:
    """A share, or a dash."""
    return "-" if value is None else f"{value:.1%}"


def joules(value: float | None) -> str:
    """Joules in the unit that leaves one to three digits before the point."""
    return _scaled(value, "J")


def coulombs(value: float | None) -> str:
    """Coulombs, likewise."""
    return _scaled(value, "C")


def _scaled(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    for prefix, scale in (("", 1.0), ("m", 1e-3), ("u", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {prefix}{unit}"
    return f"{value / 1e-9:.3g} n{unit}"


def latency_line(latency: Latency) -> str:
    """Mean, spread and tail, with the source beside them."""
    if latency.mean is None:
        return "no latency: the board counts no cycles"
    mean, std, *tail = map(milliseconds, latency.values)
    quoted = ", ".join(f"{k} {v}" for k, v in zip(LATENCY_KEYS[2:], tail, strict=True))
    return f"{mean} ± {std} ms ({latency.source}), {quoted}"


def energy_line(energy: EnergyFigures) -> str:
    """Mean joules with their bounds, labelled."""
    if energy.joules_mean is None or energy.band is None:
        return "no energy figures"
    low, high = energy.band
    if energy.windows is not None:
        return measured_line(energy)
    words = energy_words(energy.source, energy.kind)
    return (
        f"{joules(energy.joules_mean)} an inference ({words}; band {joules(low)} to {joules(high)})"
    )


def measured_line(energy: EnergyFigures) -> str:
    """The same of a meter: the median of its windows, net energy, charge, idle power, volts."""
    low, high = energy.band or (None, None)
    return (
        f"{joules(energy.joules_mean)} an inference ({energy.source}; median of "
        f"{len(energy.windows or ())} windows, {joules(low)} to {joules(high)}), "
        f"{joules(energy.net_joules_mean)} above idling, {coulombs(energy.coulombs_mean)} at "
        f"{energy.volts:.3f} V; idle {(energy.idle_w or 0) * 1e3:#.3g} mW"
    )


def score_words(summary: Summary) -> str:
    """Accuracy of a classifier, errors of what gives values, or that there is none."""
    if summary.accuracy is not None:
        return f"accuracy {percent(summary.accuracy)}, macro F1 {summary.macro_f1:.3f}"
    if summary.errors:
        return f"mean absolute error {summary.errors.mae:.4g}, RMSE {summary.errors.rmse:.4g}"
    errors = summary.reconstruction
    if not errors:
        return f"{summary.task}, no accuracy"
    auc = "" if errors.auc is None else f", AUC {errors.auc:.3f}"
    return f"mean squared error {errors.mse:.4g}{auc}"


def _head(summary: Summary, verbose: bool) -> list[RenderableType]:
    bad = summary.mismatches
    evidence = "silicon" if summary.evidence == "silicon" else "no silicon"
    title = f"{summary.model} on {summary.board} ({evidence})"
    found = f"{bad} mismatches"
    scores = f": {summary.samples} samples, {score_words(summary)}, {found}"
    return [
        Paragraph(scores, title, "", "bold", found, "bold red" if bad else "green"),
        Paragraph(latency_line(summary.latency), "latency  "),
        Paragraph(energy_line(summary.energy), "energy   "),
        Paragraph(_bytes(summary.stack_bytes), "stack    "),
        *(Paragraph(text, label) for label, text in _built(summary, verbose)),
    ]


def _built(summary: Summary, verbose: bool) -> list[tuple[str, str]]:
    """Compiler and clock; with flags, digest and where a joule comes from, or how to see them."""
    compiler = summary.compiler or "unknown build"
    clock = f"{summary.clock_hz / 1e6:g} MHz"
    if not verbose:
        return [("build    ", f"{compiler}, {clock}; --verbose says on what the figures rest")]
    flags = [f for f in summary.flags or () if f.startswith(("-O", "-D"))]
    build = " ".join([compiler, *flags]) if summary.compiler else compiler
    lines = [("build    ", f"{build}, {clock}, firmware {summary.firmware_digest[:12]}")]
    figures = summary.energy.figures
    return [*lines, ("figures  ", figures)] if figures else lines


def _bytes(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,} B at most"


def _ports(export: ExportFacts) -> FittedTable:
    columns = (name_column("name"), *map(Column, COLUMNS[1:]))
    answer = f" (accuracy is of {export.answer})" if export.answer else ""
    return table(f"Inputs and outputs{answer}", columns, port_rows(export))


def _stream(stream: StreamFigures) -> FittedTable:
    columns = name_column("what"), Column("how much", right=False, words=True)
    return table("Stream", columns, stream_words(stream))


def _experts(experts: list[ExpertFigures]) -> FittedTable:
    source = experts[0].latency.source
    drops = {"std": 0, "p95": 1, "p50": 2, "p99": 3}
    figures = map(Column, ("samples", "share", "accuracy"))
    quantiles = (Column(key, drop=drops.get(key)) for key in LATENCY_KEYS)
    columns = (name_column("name"), *figures, *quantiles, Column("energy"))
    rows = [
        (
            e.name,
            str(e.count),
            percent(e.share),
            percent(e.accuracy),
            *map(milliseconds, e.latency.values),
            joules(e.energy_joules_mean),
        )
        for e in experts
    ]
    return table(f"Experts (latency in ms, {source})", columns, rows)


def _measured_experts(energy: EnergyFigures) -> FittedTable:
    title = f"Energy of an inference ({energy.source}; median of the windows)"
    columns = ("inferences", "total", "least", "most", "above idling", "charge")
    rows = []
    for e in energy.experts:
        low, high = e.band or (None, None)
        values = (e.joules_mean, low, high, e.net_joules_mean)
        charge = coulombs(e.coulombs_mean)
        rows.append((e.name, str(e.inferences), *map(joules, values), charge))
    return table(title, (name_column("name"), *map(Column, columns)), rows)


def alone_rows(alone: dict[str, Any]) -> list[tuple[str, ...]]:
    """Name, accuracy, ms and joules of each expert alone, the model as it ran, and the oracle."""
    best = [
        (f"{e['name']} *" if e["name"] == alone["best"] else e["name"], e) for e in alone["experts"]
    ]
    found = [*best, ("the model", alone["mixture"]), ("oracle", alone["oracle"])]
    return [
        (name, percent(e["accuracy"]), milliseconds(e["latency_ms"]), joules(e["joules"]))
        for name, e in found
    ]


def _alone(alone: dict[str, Any]) -> FittedTable:
    columns = (name_column("name"), *map(Column, ("accuracy", "mean ms", "energy")))
    return table("Each expert alone on these rows (*: the best)", columns, alone_rows(alone))


def signal_rows(signals: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Whose answer, which doubt, errors, AUROC and its interval."""
    return [
        (
            s["of"],
            s["signal"],
            str(s["errors"]),
            "-" if s["auroc"] is None else f"{s['auroc']:.2f}",
            "-" if s["interval"] is None else "{:.2f} to {:.2f}".format(*s["interval"]),
        )
        for s in signals
    ]


def signals_table(signals: list[dict[str, Any]], whose: str = "") -> FittedTable:
    """`whose`: before the title, where there are several runs."""
    columns = (name_column("answer of"), Column("doubt", right=False))
    numbers = map(Column, ("errors", "AUROC", "95 %"))
    title = f"{whose}What tells an error (AUROC; 0.5: nothing)"
    return table(title, (*columns, *numbers), signal_rows(signals))


def _layers(layers: list[LayerFigures]) -> FittedTable:
    names = (name_column("name"), Column("op", right=False, short=short_op))
    rows = [
        (
            i.name,
            i.op,
            str(i.count),
            "-" if i.cycles is None else f"{i.cycles:,.0f}",
            percent(i.share),
        )
        for i in layers
    ]
    title = "Layers (cycles: mean where it ran; share of the run)"
    return table(title, (*names, *map(Column, ("runs", "cycles", "share"))), rows)


def _confusion(confusion: Confusion) -> FittedTable:
    """With each answer's name above it; where that is too wide, with the number of its row."""
    classes = confusion.classes
    rows = [
        (name, *(str(n) if n else "." for n in row))
        for name, row in zip(classes, confusion.matrix, strict=True)
    ]
    numbers = {name: f"{i} {name}" for i, name in enumerate(classes)}
    answers = (Column(name, short_title=str(i)) for i, name in enumerate(classes))
    title = "Confusion (rows: label, columns: answer)"
    return table(title, (name_column("", lambda name: numbers[name]), *answers), rows)
