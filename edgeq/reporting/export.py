"""What an export says of itself: the JSON object and the text of `edgeq export`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType

from edgeq.emit.firmware import LayerInfo
from edgeq.ir import Graph
from edgeq.ops.mixture import Expert
from edgeq.ops.op import quant_of
from edgeq.ops.routed import routed_node
from edgeq.ops.router import Router
from edgeq.passes.freeze_cascade import Cascading
from edgeq.passes.freeze_router import Curiosity
from edgeq.plain_text import one_line, plain
from edgeq.reporting.estimate_text import cost_lines, rest_lines
from edgeq.reporting.fitted import Column, FittedTable, Paragraph, name_column, table
from edgeq.reporting.kernel_words import short_kernel
from edgeq.reporting.profile_text import joules, milliseconds
from edgeq.reporting.stream import deadline_words, mean_power_words
from edgeq.thresholds.words import promise_words
from edgeq.weights import PackedWeights

FIGURES = ("cycles", "latency_s", "energy_j", "energy_band_j")


def layer_name(layer: LayerInfo) -> str:
    """ "expert/layer" inside an expert, else the layer's own name."""
    return layer.name if layer.expert is None else f"{layer.expert}/{layer.name}"


def experts_of(graph: Graph) -> tuple[Expert, ...]:
    """The experts of the graph's mixture or cascade, in route order; none without either."""
    node = routed_node(graph)
    return tuple(node.attrs.experts) if node else ()


def answering_routes(graph: Graph) -> tuple[tuple[str, ...], ...]:
    """For each expert the names of those that run when it answers first: itself alone, and in a
    cascade all before it, too.
    """
    node, names = routed_node(graph), tuple(e.name for e in experts_of(graph))
    if node is not None and node.op == "Cascade":
        return tuple(names[: i + 1] for i in range(len(names)))
    return tuple((name,) for name in names)


def layer_entries(
    layers: Sequence[LayerInfo], cost: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """`layers` of the JSON object; with cycles, seconds and joules of an estimate's entry."""
    costs = cost["layers"] if cost else [{}] * len(layers)
    return [
        {
            "name": layer_name(i),
            "op": i.op,
            "kernel": i.kernel,
            "weight_format": i.weight_format,
            "macs": i.macs,
            "weight_bytes": i.weight_bytes,
            **_figures(costs[n]),
        }
        for n, i in enumerate(layers)
    ]


def _figures(cost: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a route or layer; None where nothing was estimated."""
    return {name: cost.get(name) for name in FIGURES}


def expert_entries(
    graph: Graph,
    layers: Sequence[LayerInfo],
    packed: PackedWeights,
    cost: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """`experts` of the JSON object: what each adds to the shared layers.

    cycles, latency_s and energies are those of a whole inference that the expert alone answers; in
    a cascade those before it have run, too.
    """
    routes = {tuple(route["experts"]): route for route in cost["routes"]} if cost else {}
    return [
        {
            "name": e.name,
            "weight_format": e.weight_format,
            "macs": sum(i.macs for i in layers if i.expert == e.name),
            "weight_bytes": packed.expert_bytes(e.name),
            **_figures(routes.get(route, {})),
        }
        for e, route in zip(experts_of(graph), answering_routes(graph), strict=True)
    ]


def curiosity_entry(
    graph: Graph, asked: Graph, curiosity: Curiosity | None
) -> dict[str, Any] | None:
    """`curiosity` of the JSON object: the frozen rule; `asked` holds the model's own strength."""
    if curiosity is None:
        return None
    router, own = (_router_of(g) for g in (graph, asked))
    return {
        "rule": router.rule,
        "alpha": router.alpha,
        "quantile": router.quantile,
        "model_alpha": own.alpha,
        "model_quantile": own.quantile,
        "u_min": curiosity.u_min,
        "u_max": curiosity.u_max,
        "threshold": curiosity.threshold,
        "changed": curiosity.changed,
        "rows": curiosity.rows,
    }


def cascade_entry(graph: Graph, cascading: Cascading | None) -> dict[str, Any] | None:
    """`cascade` of the JSON object: what decides, with which thresholds, and where rows went.

    `thresholds` in steps of the signal, as the firmware has them; `thresholds_real` in the
    signal's unit.
    """
    node = routed_node(graph)
    if cascading is None or node is None:
        return None
    unit = node.attrs.rule.unit(quant_of(graph.tensors[node.outputs[0]]).per_tensor)
    return {
        "signal": cascading.signal,
        "goes_on": "above" if node.attrs.rule.doubt else "below",
        "thresholds": list(cascading.thresholds),
        "thresholds_real": [t * unit for t in cascading.thresholds],
        "rows": cascading.rows,
        "answered": list(cascading.routes),
    }


def _router_of(graph: Graph) -> Router:
    router: Router = next(n for n in graph.nodes if n.op == "Mixture").attrs.router
    return router


def export_text(report: dict[str, Any], folder: str, verbose: bool = False) -> RenderableType:
    """The same object for a terminal; `verbose`: with all that its figures rest on."""
    report = plain(report)
    fit = "fit checked" if report["enforced"] else "sizes only, no board's limits"
    build = f" {report['optimize']}" if verbose else ""
    title = f"{report['model']} for {report['target']}"
    sizes = (
        f"flash {report['flash_bytes']:,} B, ram {report['ram_bytes']:,} B of which arena "
        f"{report['arena_bytes']:,} B; {report['compiler']}{build}, "
        f"kernels for {report['objective']}"
    )
    parts: list[RenderableType] = [
        Paragraph(f"({fit})", label=f"{title} ", label_style="bold"),
        Paragraph(sizes),
        *(Paragraph(line) for line in _arena_lines(report)),
        _layer_table(report["layers"]),
    ]
    if report["experts"]:
        parts.append(_expert_table(report["experts"]))
    parts += [_check_table(report["checks"]), *_check_words(report["checks"])]
    parts += _cost_parts(report, verbose)
    if report.get("deadline"):
        parts.append(Paragraph(deadline_words(report["deadline"])))
    if report.get("power"):
        parts.append(Paragraph(mean_power_words(report["power"])))
    parts += [Paragraph(f"note: {note}", style="yellow") for note in report["notes"]]
    parts.append(Paragraph(f"written to {one_line(folder)}: {', '.join(_written(report))}"))
    return Group(*parts)


def _arena_lines(report: dict[str, Any]) -> Iterator[str]:
    """How far the arena is from the least it could be, and what is paid for its size."""
    more = report["arena_bytes"] - report["arena_bound_bytes"]
    if more:
        yield f"arena: {more:,} B above its fullest step, which no plan can undercut"
    if report["bands"]:
        calls = ", ".join(f"{one_line(name)} in {n} calls" for name, n in report["bands"].items())
        yield f"arena: these layers write over their input, {calls}"
    if report.get("staged"):
        sizes = ", ".join(f"{one_line(name)} {n:,} B" for name, n in report["staged"].items())
        yield f"arena: weights read from RAM, as the flash has wait states: {sizes}"


def _cost_parts(report: dict[str, Any], verbose: bool) -> list[RenderableType]:
    """Best, expected and worst case, where the figures come from, and the curiosity shipped."""
    entry, curiosity = report["estimate"], report["curiosity"]
    parts: list[RenderableType] = []
    if entry:
        parts += [Paragraph(line) for line in (*cost_lines(entry), *rest_lines([entry], verbose))]
    if curiosity and curiosity["rule"] != "off":
        parts.append(Paragraph(_curiosity_line(curiosity)))
    if report.get("cascade"):
        parts.append(Paragraph(_cascade_line(report["cascade"])))
    if report.get("threshold"):
        parts.append(Paragraph(threshold_line(report["threshold"]), label="promise: "))
    return parts


def _curiosity_line(curiosity: dict[str, Any]) -> str:
    name = "alpha" if curiosity["rule"] == "precision_prior" else "quantile"
    own, shipped = curiosity[f"model_{name}"], curiosity[name]
    budget = "" if own == shipped else f" (the model's own is {own:g}: moved as was asked)"
    return (
        f"curiosity: {curiosity['rule']}, {name} {shipped:g}{budget}; {curiosity['changed']} of "
        f"{curiosity['rows']} calibration rows change their route"
    )


def threshold_line(threshold: dict[str, Any]) -> str:
    """The promise, what it saves of always asking the most precise expert, what it costs."""
    chosen, safest = (threshold["curve"][i] for i in (threshold["chosen"], 0))
    saved = 1 - chosen["latency_s"] / safest["latency_s"]
    mean = f"a mean row takes {milliseconds(1e3 * chosen['latency_s'])} ms"
    if chosen["energy_j"] is not None:
        mean += f", {joules(chosen['energy_j'])}"
    less = f"{saved:.1%} less than" if saved > 0 else "no less than"
    return (
        f"{promise_words(threshold)}; {mean} (modelled), {less} with the safest threshold; "
        f"{chosen['share']:.1%} of the rows escalate"
    )


def _cascade_line(cascade: dict[str, Any]) -> str:
    steps = ", ".join(
        f"{t} ({real:.4g})"
        for t, real in zip(cascade["thresholds"], cascade["thresholds_real"], strict=True)
    )
    beyond, signal = sum(cascade["answered"][1:]), cascade["signal"]
    article = "an" if signal[0] in "aeiou" else "a"
    return (
        f"cascade: goes on {cascade['goes_on']} {article} {signal} of {steps}; {beyond} of "
        f"{cascade['rows']} calibration rows go beyond the first expert"
    )


def _written(report: dict[str, Any]) -> list[str]:
    return [*(a for a in report["artifacts"].values() if a), "report.txt", "export.json"]


def _layer_table(layers: list[dict[str, Any]]) -> FittedTable:
    columns = (
        name_column("name"),
        name_column("kernel", short_kernel),
        Column("weights", drop=0),  # the kernel's name has it
        *map(Column, ("MACs", "bytes", "cycles")),
    )
    rows = [
        (
            i["name"],
            i["kernel"],
            i["weight_format"] or "-",
            *(_count(i[key]) for key in ("macs", "weight_bytes", "cycles")),
        )
        for i in layers
    ]
    return table("Layers", columns, rows)


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _expert_table(experts: list[dict[str, Any]]) -> FittedTable:
    titles = ("weights", "MACs", "bytes", "inference", "ms", "energy")
    rows = [
        (
            e["name"],
            e["weight_format"],
            *(_count(e[key]) for key in ("macs", "weight_bytes", "cycles")),
            milliseconds(None if e["latency_s"] is None else 1e3 * e["latency_s"]),
            joules(e["energy_j"]),
        )
        for e in experts
    ]
    title = "Experts (inference: a whole one, in cycles)"
    return table(title, (name_column("name"), *map(Column, titles)), rows)


def checks_text(result: dict[str, Any]) -> RenderableType:
    """What `edgeq verify` found, for a terminal."""
    result = plain(result)
    head = Paragraph(f"{result['model']} in {result['export']}, on {result['rows_of']} rows")
    return Group(head, _check_table(result["checks"]), *_check_words(result["checks"]))


def _check_table(checks: list[dict[str, Any]]) -> FittedTable:
    titles = ("rows", "differ", "max step", "mean", "top-1", "routes")
    columns = (name_column("form"), *map(Column, titles))
    return table("Proofs: each form beside the integer reference", columns, [*map(_check, checks)])


def _check(check: dict[str, Any]) -> tuple[str, ...]:
    if not check["samples"]:
        return check["name"], "failed" if "failed" in check else "none", *["-"] * 5
    mean = "-" if check.get("mean_lsb") is None else f"{check['mean_lsb']:.2f}"
    counts = (str(check[key]) for key in ("samples", "mismatches", "max_lsb"))
    shares = (_share(check["top1_agreement"]), _share(check["route_agreement"]))
    return check["name"], *counts, mean, *shares


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _check_words(checks: list[dict[str, Any]]) -> list[RenderableType]:
    """What each proof found, a failed one in red."""
    return [
        Paragraph(c["said"], f"{c['name']}: ", "" if c.get("passed", True) else "red")
        for c in checks
        if c.get("said")
    ]
