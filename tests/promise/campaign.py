"""Draws rows, lets `by_risk` choose, and looks at what the choice is truly worth."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.thresholds import Promise, by_risk, steps_of
from tests.promise.population import SHAPES

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "docs" / "measured" / "promise.json"
PAGE = ROOT / "docs" / "thresholds.md"
START = "<!-- table promise: start, written by a script -->"
END = "<!-- table promise: end -->"
PROMISE = Promise(0.02, 0.95)
ROWS = (200, 300, 500)
DRAWS = 2_000
SEED = 1


def cells() -> list[tuple[str, int]]:
    """Every shape with every number of rows."""
    return [(shape, rows) for shape in SHAPES for rows in ROWS]


def run_cell(shape: str, rows: int, draws: Iterable[int], seed: int = SEED) -> dict[str, Any]:
    """Of these draws: how many choices exceed the limit, and the mean of what they save."""
    population, above, savings = SHAPES[shape], 0, list[float]()
    number = list(SHAPES).index(shape)
    for draw in draws:
        stages = population.draw(rows, np.random.default_rng([seed, number, rows, draw]))
        choice = by_risk(stages, steps_of(stages.doubts, stages.lowest), PROMISE)
        above += population.risk(choice.thresholds[0]) > PROMISE.limit
        savings.append(population.saving(choice.thresholds[0]))
    best = population.saving(population.best(PROMISE.limit))
    return {
        "shape": shape,
        "rows": rows,
        "draws": len(savings),
        "seed": seed,
        "above": above,
        "saving": round(float(np.mean(savings)), 6),
        "optimum": round(best, 6),
    }


def most_above(draws: int, confidence: float = PROMISE.confidence) -> float:
    """The promise's own rate of failure plus three standard errors, as a share."""
    rate = 1 - confidence
    return rate + 3 * math.sqrt(rate * (1 - rate) / draws)


def read_record() -> list[dict[str, Any]]:
    """The finished cells; none without a record."""
    return list(json.loads(RECORD.read_text("utf-8"))["cells"]) if RECORD.is_file() else []


def write_record(finished: list[dict[str, Any]]) -> None:
    """The JSON, and the table in the page."""
    order = cells()
    finished.sort(key=lambda cell: order.index((cell["shape"], cell["rows"])))
    text = json.dumps({"cells": finished}, indent=1) + "\n"
    partial = RECORD.with_suffix(".partial")
    partial.write_text(text, "utf-8")
    partial.rename(RECORD)
    page = PAGE.read_text("utf-8")
    start, end = page.index(START), page.index(END) + len(END)
    PAGE.write_text(page[:start] + table(finished) + page[end:], "utf-8")


def table(finished: Iterable[Mapping[str, Any]]) -> str:
    """What stands between the markers of the page."""
    lines = [
        START,
        "| disagreement over doubt | rows | draws | above 2 % | saving, of the optimum's |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {c['shape']} | {c['rows']} | {c['draws']:,} | {c['above'] / c['draws']:.2%} | "
        f"{c['saving'] / c['optimum']:.0%} |"
        for c in finished
    ]
    return "\n".join([*lines, END])
