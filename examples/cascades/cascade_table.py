"""The tables of README.md, from the JSON of score.py: no number is typed."""

from collections import Counter
from typing import Any

WHAT = {
    "esc10": "ESC-10, five folds, {clusters} recordings",
    "digits": "digits, {test_rows} test images",
}


def markdown(result: dict[str, Any]) -> str:
    """Networks, cascade and claims, then the signals."""
    return "\n".join(
        [*_networks(result), "", *_claims(result), "", *_signals(result), "", _built(result)]
    )


def _networks(result: dict[str, Any]) -> list[str]:
    cycles = _cycles(result)
    lines = [
        f"{WHAT[result['study']].format(**result)}, {result['seeds']} seeds averaged in a row.",
        "",
        "| network | accuracy [95 %] | cycles | energy an inference |",
        "|---|---|---|---|",
    ]
    for name, of in result["networks"].items():
        alone = name != "cascade"
        joules = f"{of['energy_j'] * 1e6:,.1f} uJ"
        if not alone:
            joules += f" {_ends(of['energy_interval_j'], 1e6, '.1f')}"
        told = f"{name}, alone" if alone else f"**cascade**: {_chosen(result)}"
        accuracy = f"{of['accuracy']:.1%} {_ends(of['accuracy_interval'], 100, '.1f')}"
        lines.append(f"| {told} | {accuracy} | {cycles.get(name, '-')} | {joules} |")
    return lines


def _cycles(result: dict[str, Any]) -> dict[str, str]:
    of: dict[str, list[int]] = {}
    for key, cost in result["costs"].items():
        of.setdefault(key.partition(": ")[0], []).append(cost["cycles"])
    return {
        name: f"{min(n):,}" if min(n) == max(n) else f"{min(n):,} to {max(n):,}"
        for name, n in of.items()
    }


def _chosen(result: dict[str, Any]) -> str:
    counted = Counter(f"{c['cheap']} {c['share']:.0%}" for c in result["chosen"].values())
    firsts = ", ".join(
        f"{name} ({n} folds)" if len(counted) > 1 else name for name, n in counted.items()
    )
    return f"{firsts}, then {result['last']} for {result['escalated']:.1%} of the rows"


def _claims(result: dict[str, Any]) -> list[str]:
    lines = ["| claim | wanted | found [95 %] | |", "|---|---|---|---|", *_claimed(result, result)]
    first = result["first_run"]
    if first is not None:
        again = result["difference_of_two_looks"]
        held = again["interval"][0] > -0.015
        lines.append(
            "| the same, 97.5 % (test rows looked at twice) | lower end above -1.5 | "
            f"{100 * again['value']:+.2f} {_ends(again['interval'], 100, '+.2f')} | {_said(held)} |"
        )
        heading = f"*first run, without the networks added since*: {_chosen(result | first)}"
        lines += [f"| {heading} | | | |", *_claimed(result, first)]
    return lines


def _claimed(result: dict[str, Any], run: dict[str, Any]) -> list[str]:
    saving, difference, front = (run[k] for k in ("saving", "difference", "below_front"))
    return [
        f"| less mean energy than {result['last']} alone | 40 % | "
        f"{saving['value']:.1%} {_ends(saving['interval'], 100, '.1f')} | |",
        f"| accuracy less that of {result['last']}, points | lower end above -1.5 | "
        f"{100 * difference['value']:+.2f} {_ends(difference['interval'], 100, '+.2f')} | "
        f"{_said(run['a_shown'])} |",
        "| energy below the front of the single networks | 20 % | "
        f"{front['value']:.1%} {_ends(front['interval'], 100, '.1f')} | {_said(run['b_shown'])} |",
    ]


def _said(shown: bool) -> str:
    return "shown" if shown else "MISSED"


def _signals(result: dict[str, Any]) -> list[str]:
    named = [s for s in next(iter(result["signals"].values())) if s != "errors"]
    lines = [
        "AUROC of a signal of a network's answer against that answer's error (0.5 is chance).",
        "",
        f"| network | errors | {' | '.join(f'{s} [95 %]' for s in named)} |",
        f"|---|---|{'---|' * len(named)}",
    ]
    for name, of in result["signals"].items():
        cells = [f"{of[s]['value']:.3f} {_ends(of[s]['interval'], 1, '.3f')}" for s in named]
        errors = f"{of['errors']['wrong']} of {of['errors']['rows']}"
        lines.append(f"| {name} | {errors} | {' | '.join(cells)} |")
    means = [f"{mean_auroc(result, s):.3f}" for s in named]
    return [*lines, f"| mean of the networks | | {' | '.join(means)} |"]


def mean_auroc(result: dict[str, Any], signal: str) -> float:
    """Of a signal, over the networks."""
    values = [of[signal]["value"] for of in result["signals"].values()]
    return float(sum(values) / len(values))


def _ends(ends: list[float], times: float, spec: str) -> str:
    return f"[{ends[0] * times:{spec}}, {ends[1] * times:{spec}}]"


def _built(result: dict[str, Any]) -> str:
    cost = next(iter(result["costs"].values()))
    flags = " ".join(f for f in cost["flags"] if not f.startswith("-W"))
    return (
        f"Cycles and energy are {cost['source']} on the virtual {result['board']} (rules "
        f"{cost['rules']}, energy figure {cost['energy_kind']}), answers those of the integer "
        f"reference. {cost['compiler']}, `{flags}`. Scored at commit {result['commit']}, seeds "
        f"{', '.join(map(str, result['seed_numbers']))}."
    )
