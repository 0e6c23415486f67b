"""`edgeq inspect`: what a model's layers carry, what each width loses, and what should be done."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edgeq.planning.planner import Tell, duration
from edgeq.planning.rows import Rows
from edgeq.planning.table import Watch

if TYPE_CHECKING:
    from edgeq.nn.inspection import Inspected
    from edgeq.nn.sensitivity import Weighed

TAIL = 20.0  # a kurtosis above it: few values reach far beyond the rest
SHARE, TIMES = 0.5, 4.0  # the top 1 % of channels carry so much energy, and so many times their due
SATURATED = 0.01  # of the inputs, beyond the range that calibration chose
SPREAD = 16.0  # the largest channel's weights over the median's: as far as equalising goes
LOST = 0.01  # nats, or of the answer's mean square: what a layer alone may lose at a width
Warning = dict[str, Any]


def inspect_model(
    given: Rows, kinds: tuple[str, ...], watch: Watch, tell: Tell
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The object of `edgeq inspect --json`, and a row for each channel.

    Raises BadInput without rows, UnsupportedOp for a mixture.
    """
    from edgeq.nn.inspection import inspected
    from edgeq.nn.sensitivity import hessian_traces, loss_increases, weighed

    start = time.perf_counter()
    of = weighed(given.model, given.x, given.y)
    tell(_expected(of, kinds, time.perf_counter() - start))
    layers = inspected(of, watch)
    losses, traces = loss_increases(of, kinds, watch), _traces(hessian_traces, of, watch)
    result = {
        "model": given.model.name,
        "model_digest": given.digest,
        "data": given.source,
        "rows": len(of.rows),
        "labelled": given.y is not None,
        "loss": of.judge.name,
        "base": of.base,
        "bits": list(kinds),
        "layers": [_layer(one, losses[one.name], traces.get(one.name)) for one in layers],
        "warnings": [w for one in layers for w in warnings(one, losses[one.name])],
        "seconds": time.perf_counter() - start,
    }
    return result, [asdict(channel) for one in layers for channel in one.channels]


def _expected(of: "Weighed", kinds: tuple[str, ...], once: float) -> str:
    seconds = once * (len(of.layers) * len(kinds) / 2 + 16)
    return (
        f"inspecting {len(of.layers)} layers at {len(kinds)} widths on {len(of.rows)} rows: "
        f"{duration(seconds)}"
    )


def _traces(run: Any, of: "Weighed", watch: Watch) -> Mapping[str, float]:  # noqa: ANN401
    """None of them where an op has no gradient: the loss by running it needs none."""
    from edgeq.errors import UnsupportedOp

    try:
        found: Mapping[str, float] = run(of, watch)
    except (UnsupportedOp, RuntimeError):
        return {}
    return found


def _layer(one: "Inspected", losses: Mapping[str, float], trace: float | None) -> dict[str, Any]:
    facts = {key: value for key, value in vars(one).items() if key not in ("channels", "name")}
    return {
        "layer": one.name,
        **facts,
        "trace": trace,
        "losses": dict(losses),
        "width": narrowest(losses),
    }


def narrowest(losses: Mapping[str, float]) -> str | None:
    """The narrowest width at which the layer alone loses no more than LOST; None for none."""
    return next((kind for kind, loss in losses.items() if loss <= LOST), None)


def warnings(one: "Inspected", losses: Mapping[str, float]) -> Iterator[Warning]:
    """What should be done about a layer, with the numbers that say so."""
    width = narrowest(losses) or "int16"
    outlier = one.top_share >= SHARE and one.top_share >= TIMES * one.even
    if outlier or one.kurtosis > TAIL:
        carried = f"kurtosis {one.kurtosis:.1f}, {one.top_share:.0%} of its input's energy in the "
        carried += f"top {one.even:.1%} of its channels"
        if one.equalisable:
            does = "equalise it with the layer before (--ptq best does where it helps)"
        else:
            does = "no layer before it can take its channels' spread"
        yield _warning(one, "outliers", f"{carried}; {does}, or give it {width}")
    if one.weight_spread > SPREAD:
        yield _warning(
            one,
            "weights",
            f"one channel's weights reach {one.weight_spread:.0f} times as far as the median's; "
            f"each channel has a step of its own, so it costs nothing by itself; keep {width}",
        )
    if one.saturated > SATURATED:
        yield _warning(
            one,
            "saturation",
            f"{one.saturated:.1%} of its inputs are beyond the range that calibration chose; give "
            "more rows, or export --method minmax",
        )
    if one.dead:
        yield _warning(
            one,
            "dead",
            f"{one.dead} of {one.outputs} channels answer the same on every row; they cost cycles "
            "and bytes for nothing: nn.narrowed makes a net without them",
        )
    if one.bound_bits > 32:
        yield _warning(
            one,
            "accumulator",
            f"its sums could take {one.bound_bits} bits, int32 has 32 (these rows took "
            f"{one.accumulator_bits}); a narrower width of weights brings them down",
        )


def _warning(one: "Inspected", kind: str, said: str) -> Warning:
    return {"layer": one.name, "kind": kind, "said": f"{one.name}: {said}"}
