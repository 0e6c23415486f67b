"""The deadline of a stream: the worst step is done before the next hop has come."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgeq.emit.firmware import LayerInfo
from edgeq.errors import BadInput, CostBudget
from edgeq.estimating.budget import SECONDS, read_quantity
from edgeq.ir import Graph
from edgeq.ops.log_mel import FRONT_ENDS
from edgeq.ops.op import snake_case

FRONT_END = tuple(map(snake_case, FRONT_ENDS))


def hop_seconds(graph: Graph, hop: str | None) -> float | None:
    """The time of a hop: as --hop says ("20ms"), else the stream's own; None where nobody says.

    BadInput for a --hop that is no time, or another than the stream's.
    """
    stream = graph.stream
    own = None if stream is None or stream.period_s is None else stream.hop * stream.period_s
    if hop is None:
        return own
    asked = read_quantity("--hop", hop, SECONDS)
    if own is not None and abs(asked - own) > 1e-6 * own:
        raise BadInput(f"--hop {hop}: a hop of this stream is {own * 1e3:g} ms; leave --hop out")
    return asked


def deadline_entry(
    cost: Mapping[str, Any], layers: Sequence[LayerInfo], hop_s: float
) -> dict[str, Any]:
    """`deadline` of export.json: the worst route of an estimate's entry, front end included, and
    what it leaves of the hop. CostBudget with the numbers where that is less than nothing.
    """
    worst = cost["worst"]
    pairs = zip(layers, cost["layers"], strict=True)
    front_end = sum(row["cycles"] or 0 for layer, row in pairs if layer.op in FRONT_END)
    share = worst["latency_s"] / hop_s
    entry = {
        "hop_s": hop_s,
        "worst_s": worst["latency_s"],
        "worst_cycles": worst["cycles"],
        "front_end_cycles": front_end,
        "share": share,
        "margin_s": hop_s - worst["latency_s"],
    }
    if share > 1:
        raise CostBudget(
            f"a hop of {hop_s * 1e3:g} ms is too short on {cost['board']}: the worst case takes "
            f"{worst['latency_s'] * 1e3:,.6g} ms, {share:.1%} of it ({worst['cycles']:,} cycles, "
            f"{front_end:,} of them the front end's; modelled). Use narrower weights, a smaller "
            "model, a faster board or a longer hop"
        )
    return entry
