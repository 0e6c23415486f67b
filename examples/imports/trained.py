"""Trained networks from PyTorch to int8: the share of test rows on which the answer stays.

    python examples/imports/trained.py --commit X      # measures what trained.json lacks
    python examples/imports/trained.py --write-table   # into docs/import.md

scikit-learn's digits, enlarged to 3x32x32 (64 numbers for the MLP), shuffled by a recorded seed:
1,397 rows train, 64 of them calibrate, 400 others test. Nothing is chosen by the test rows.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from imports import DSP, PAGE, decibels
from nets import NETS, mobilenet_v1
from sklearn.datasets import load_digits
from torch import Tensor, nn

import edgeq
from edgeq.arrays import model_rows
from edgeq.errors import EdgeqError
from edgeq.files import write_file
from edgeq.frontend.torch_loader import graph_of
from edgeq.passes import quantize
from edgeq.reference import quantize_rows, real_outputs, run
from edgeq.reporting.markdown import write_table

RESULTS = Path(__file__).parent / "trained.json"
SEED, TEST, CALIBRATION = 1, 400, 64
EPOCHS, BATCH, RATE = 12, 32, 2e-3
CLASSES = 10
TRAINED = {
    "mobilenet_v1": lambda: mobilenet_v1(CLASSES),
    **{net: NETS[net].build for net in ("dense_block", "inception", "mlp")},
}


def digits(flat: bool) -> tuple[Tensor, Tensor]:
    """(rows, labels) in a seeded order."""
    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(SEED))
    x = torch.from_numpy(data.images / 16).float()[order]
    y = torch.from_numpy(data.target)[order]
    if flat:
        return x.flatten(1), y
    wide = nn.functional.interpolate(x[:, None], (32, 32), mode="bilinear")
    return wide.expand(-1, 3, -1, -1).contiguous(), y


def fitted(module: nn.Module, x: Tensor, y: Tensor) -> nn.Module:
    """Trained with Adam and a cosine; in evaluation mode."""
    steps = EPOCHS * -(-len(x) // BATCH)
    optimizer = torch.optim.Adam(module.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    generator = torch.Generator().manual_seed(SEED)
    module.train()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x), generator=generator).split(BATCH):
            loss = nn.functional.cross_entropy(module(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return module.eval()


def measured(net: str) -> dict[str, Any]:
    """One row of the table."""
    torch.manual_seed(SEED)
    x, y = digits(flat=len(NETS[net].shape) == 1)
    module = fitted(TRAINED[net](), x[TEST:], y[TEST:])
    calibration, rows = x[TEST : TEST + CALIBRATION], x[:TEST]
    model = edgeq.from_torch(module, rows[:1], name=net)
    model = edgeq.quantize(model, calibration.numpy(), "int8", progress=False)
    shape = tuple(rows.shape[1:])
    given = [model_rows(part.numpy(), shape, "rows", model.layout) for part in (calibration, rows)]
    graph = quantize(graph_of(model), given[0], "mse", DSP).graph
    got = real_outputs(graph, run(graph, quantize_rows(graph, given[1])).output)
    with torch.no_grad():
        wanted = module(rows).numpy().astype(np.float64)
    labels = y[:TEST].numpy()
    return {
        "rows": TEST,
        "float_right": int((wanted.argmax(1) == labels).sum()),
        "int8_right": int((got.argmax(1) == labels).sum()),
        "same": int((wanted.argmax(1) == got.argmax(1)).sum()),
        "sqnr_db": decibels(wanted, got),
    }


def stored() -> list[dict[str, Any]]:
    """The runs of trained.json; none where it is not there."""
    runs: list[dict[str, Any]] = []
    return json.loads(RESULTS.read_text(encoding="utf-8"))["runs"] if RESULTS.exists() else runs


def markdown(runs: list[dict[str, Any]]) -> str:
    """A line for each of TRAINED; one that `runs` lacks says so."""
    lines = [
        "| trained network | accuracy, float | int8 | same answer | SQNR, dB |",
        "|---|---:|---:|---:|---:|",
    ]
    held = {r["network"]: r for r in runs}
    for net in TRAINED:
        r = held.get(net)
        cells = [NETS[net].title, "not measured", "", "", ""]
        if r is not None:
            shares = (r[key] / r["rows"] for key in ("float_right", "int8_right", "same"))
            cells[1:] = [*(f"{share:.1%}" for share in shares), str(r["sqnr_db"])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measures or writes the table; returns edgeq's exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write-table", action="store_true", help="into docs/import.md")
    parser.add_argument("--commit", default="", help="what is measured, kept in trained.json")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        if given.write_table:
            write_table(PAGE, markdown(stored()), "trained networks")
        for net in () if given.write_table else TRAINED:
            runs = stored()
            if net not in [r["network"] for r in runs]:
                said = {"network": net, "seed": SEED, "commit": given.commit}
                runs.append(said | measured(net))
                write_file(RESULTS, (json.dumps({"runs": runs}, indent=1) + "\n").encode())
    except EdgeqError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(markdown(stored()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
