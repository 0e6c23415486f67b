"""What an export says of itself: the JSON object and the text of `edgeq export`."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgeq.emit.firmware import LayerInfo
from edgeq.ir import Graph
from edgeq.ops.mixture import Expert
from edgeq.weights import PackedWeights


def layer_name(layer: LayerInfo) -> str:
    """ "expert/layer" inside an expert, else the layer's own name."""
    return layer.name if layer.expert is None else f"{layer.expert}/{layer.name}"


def experts_of(graph: Graph) -> tuple[Expert, ...]:
    """The experts of the graph's mixture, in route order; none without a mixture."""
    mixtures = [n for n in graph.nodes if n.op == "Mixture"]
    return tuple(mixtures[0].attrs.experts) if mixtures else ()


def layer_entries(layers: Sequence[LayerInfo]) -> list[dict[str, Any]]:
    """`layers` of the JSON object."""
    return [
        {
            "name": layer_name(i),
            "op": i.op,
            "kernel": i.kernel,
            "weight_format": i.weight_format,
            "macs": i.macs,
            "weight_bytes": i.weight_bytes,
        }
        for i in layers
    ]


def expert_entries(
    graph: Graph, layers: Sequence[LayerInfo], packed: PackedWeights
) -> list[dict[str, Any]]:
    """`experts` of the JSON object: what each adds to the shared layers."""
    return [
        {
            "name": e.name,
            "weight_format": e.weight_format,
            "macs": sum(i.macs for i in layers if i.expert == e.name),
            "weight_bytes": packed.expert_bytes(e.name),
        }
        for e in experts_of(graph)
    ]


def export_text(report: dict[str, Any], folder: str) -> RenderableType:
    """The same object for a terminal."""
    fit = "fit checked" if report["enforced"] else "sizes only, no board's limits"
    head = Text.assemble(
        (f"{report['model']} for {report['target']}", "bold"),
        f" ({fit})\n",
        f"flash {report['flash_bytes']:,} B, ram {report['ram_bytes']:,} B of which arena "
        f"{report['arena_bytes']:,} B; {report['compiler']} {report['optimize']}, "
        f"kernels for {report['objective']}",
    )
    parts: list[RenderableType] = [head, _layer_table(report["layers"])]
    if report["experts"]:
        parts.append(_expert_table(report["experts"]))
    parts.append(_check_table(report["checks"]))
    parts += [Text(f"note: {note}", style="yellow") for note in report["notes"]]
    parts.append(Text(f"written to {folder}: {', '.join(_written(report))}"))
    return Group(*parts)


def _written(report: dict[str, Any]) -> list[str]:
    return [*(a for a in report["artifacts"].values() if a), "report.txt", "export.json"]


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
    return table


def _layer_table(layers: list[dict[str, Any]]) -> Table:
    table = _table("Layers", "name", "kernel", "weights", "MACs", "bytes")
    for i in layers:
        weights = i["weight_format"] or "-"
        table.add_row(i["name"], i["kernel"], weights, f"{i['macs']:,}", f"{i['weight_bytes']:,}")
    return table


def _expert_table(experts: list[dict[str, Any]]) -> Table:
    table = _table("Experts", "name", "weights", "MACs", "bytes")
    for e in experts:
        row = (e["name"], e["weight_format"], f"{e['macs']:,}", f"{e['weight_bytes']:,}")
        table.add_row(*row)
    return table


def _check_table(checks: list[dict[str, Any]]) -> Table:
    table = _table(
        "Agreement with the integer reference, on calibration rows",
        *("form", "samples", "mismatches", "max LSB", "top-1", "route"),
    )
    for c in checks:
        shares = (f"{c['top1_agreement']:.1%}", f"{c['route_agreement']:.1%}")
        counts = (str(c["samples"]), str(c["mismatches"]), str(c["max_lsb"]))
        table.add_row(c["name"], *counts, *shares)
    return table
