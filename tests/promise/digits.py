"""A promise on real rows, end to end: `python -m tests.promise.digits`.

A narrow ternary and a wide int8 network on scikit-learn's digits; 700 rows train, 120 choose the
epoch, 500 prove the promise, 477 nobody has seen say whether it holds.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest

import edgeq
from edgeq import nn
from edgeq.arrays import channels_last
from edgeq.passes.stored_graph import stored_graph
from edgeq.reference import quantize_rows, run, run_all_stages
from tests.promise.campaign import PAGE, ROOT

RECORD = ROOT / "docs" / "measured" / "promise_digits.json"
BOARD = "nucleo_l4r5zi"
SEED, EPOCHS, LIMIT = 0, 12, "2%"
START, END = "<!-- digits: start, by a script -->\n", "\n<!-- digits: end -->"
PARTS = (700, 820, 1320)  # ends of training, validation and proof


def network(channels: int, hidden: int, kind: str) -> nn.Sequential:
    """A convolution, a hidden layer, a head."""
    return nn.Sequential(
        *(nn.Conv2d(1, channels, 3, padding=1, kind="int8"), nn.BatchNorm2d(channels), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(channels * 16, hidden, kind), nn.ReLU(), nn.Linear(hidden, 10)),
    )


def main() -> None:
    from sklearn.datasets import load_digits

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    data = load_digits()
    order = np.random.default_rng(SEED).permutation(len(data.target))
    x, y = (data.images[order, None] / 16).astype(np.float32), data.target[order].astype(np.int64)
    train, validation, proof, unseen = np.split(np.arange(len(x)), PARTS)
    experts = [network(4, 12, "ternary"), network(24, 64, "int8")]
    for expert in experts:
        alone = nn.Model(expert, (1, 8, 8))
        parts = ((x[rows], y[rows]) for rows in (train, validation))
        nn.fit(alone, *parts, epochs=EPOCHS, seed=SEED, progress=False)
    model = nn.Model(nn.Cascade(experts, names=("narrow", "wide")), (1, 8, 8), name="digits")
    model.calibrate(x[train][:200])
    with tempfile.TemporaryDirectory() as folder:
        record = measured(Path(folder), model, (x, y), proof, unseen)
    RECORD.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    page = PAGE.read_text("utf-8")
    start, end = page.index(START), page.index(END)
    PAGE.write_text(page[:start] + START + words(record) + page[end:], "utf-8")
    print(words(record))


def measured(
    place: Path,
    model: nn.Model,
    data: tuple[np.ndarray, np.ndarray],
    proof: np.ndarray,
    unseen: np.ndarray,
) -> dict[str, Any]:
    """The promise of an export, and what it is worth on rows that nobody has seen."""
    x, y = data
    edgeq.save(model, place / "digits.pt")
    np.savez(place / "proof.npz", x=x[proof], y=y[proof])
    report = edgeq.export(
        place / "digits.pt",
        BOARD,
        place / "out",
        max_disagreement=LIMIT,
        threshold_data=place / "proof.npz",
    )
    graph, found = stored_graph(place / "out" / "graph.npz"), report["threshold"]
    rows = quantize_rows(graph, channels_last(x[unseen]))
    answers, ran = run(graph, rows), run_all_stages(graph, rows)
    alone = ran.outputs.argmax(axis=2)
    chosen, safest = found["curve"][found["chosen"]], found["curve"][0]
    wide = report["estimate"]["routes"][-1]["cycles"] - report["estimate"]["routes"][0]["cycles"]
    differ = int((answers.output.argmax(axis=1) != alone[:, 1]).sum())
    ends = binomtest(differ, len(unseen)).proportion_ci(0.95, "exact")
    mean = float(np.mean([report["estimate"]["routes"][r]["cycles"] for r in answers.route]))
    return {
        "board": BOARD,
        "source": "modelled",
        "seed": SEED,
        "limit": found["limit"],
        "confidence": found["confidence"],
        "rows": found["rows"],
        "tested": found["tested"],
        "disagreements": found["disagreements"],
        "bound": round(found["bound"], 5),
        "threshold": chosen["threshold"],
        "saving_of_the_safest": round(1 - chosen["latency_s"] / safest["latency_s"], 4),
        "unseen": len(unseen),
        "unseen_differ": differ,
        "unseen_interval": [round(float(ends.low), 4), round(float(ends.high), 4)],
        "unseen_accuracy": float((answers.output.argmax(axis=1) == y[unseen]).mean()),
        "narrow_accuracy": float((alone[:, 0] == y[unseen]).mean()),
        "wide_accuracy": float((alone[:, 1] == y[unseen]).mean()),
        "unseen_escalated": float((answers.route == 1).mean()),
        "unseen_cycles_of_wide_alone": round(mean / wide, 4),
    }


def words(record: dict[str, Any]) -> str:
    """The record in a paragraph."""
    r = record
    low, high = (100 * end for end in r["unseen_interval"])
    return (
        f"Digits, a narrow ternary network before a wide int8 one, seed {r['seed']}, {r['board']}, "
        f"{r['source']}: {r['disagreements']} of {r['tested']}\ntested rows disagree, at most "
        f"{r['bound']:.2%}. Of {r['unseen']} rows that nobody had seen {r['unseen_differ']} do: "
        f"{r['unseen_differ'] / r['unseen']:.1%} [{low:.1f}, {high:.1f}].\nAccuracy "
        f"{r['unseen_accuracy']:.1%}, of the wide one alone {r['wide_accuracy']:.1%}, of the "
        f"narrow one {r['narrow_accuracy']:.1%}; {r['unseen_escalated']:.0%} go on; "
        f"{1 - r['unseen_cycles_of_wide_alone']:.0%} fewer\ncycles than the wide one alone."
    )


if __name__ == "__main__":
    main()
