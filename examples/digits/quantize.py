"""A small CNN on digits, trained in float, quantised after training: what each method loses.

    python examples/digits/quantize.py --json docs/measured/post_training.json

Test accuracy of five seeds (split, weights) in float, and at each weight kind by "fast" and "best".
Goes on where it was cut: a seed that the file holds is not run again.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

import edgeq
from edgeq import nn

SEEDS, EPOCHS = 5, 12
KINDS, METHODS = ("int4", "int3"), ("fast", "best")


def network() -> nn.Sequential:
    """Two 3x3 convolutions and a linear layer, all in float."""
    return nn.Sequential(
        *nn.conv_block(1, 8, "ptq"),
        nn.MaxPool2d(2),
        *nn.conv_block(8, 16, "ptq"),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 10, "ptq"),
    )


def accuracy(model: nn.Model, x: Any, y: Any) -> float:
    return float((model.predict(x)[0].argmax(1) == y).mean())


def measured(seed: int) -> dict[str, Any]:
    """Accuracies of one seed, and the seconds that each method took."""
    data = load_digits()
    x, y = (data.images[:, None] / 16).astype(np.float32), data.target.astype(np.int64)
    parts = nn.split(x, y, seed=seed)
    torch.manual_seed(seed)
    model = nn.Model(network(), (1, 8, 8))
    nn.fit(model, parts.train, parts.validation, epochs=EPOCHS, seed=seed, progress=False)
    found: dict[str, Any] = {"seed": seed, "float": accuracy(model, *parts.test)}
    for kind in KINDS:
        for method in METHODS:
            start = time.process_time()
            made = edgeq.quantize(model, parts.train[0], kind, ptq=method, progress=False)
            found[f"{kind} {method}"] = accuracy(made, *parts.test)
            found[f"{kind} {method} CPU s"] = round(time.process_time() - start, 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, default=Path("post_training.json"))
    out = parser.parse_args().json
    torch.set_num_threads(1)
    runs = json.loads(out.read_text())["runs"] if out.exists() else []
    for seed in range(SEEDS):
        if seed not in [run["seed"] for run in runs]:
            runs.append(measured(seed))
            keys = [key for key in runs[0] if key != "seed"]
            mean = {key: round(float(np.mean([run[key] for run in runs])), 4) for key in keys}
            out.write_text(json.dumps({"runs": runs, "mean": mean}, indent=2) + "\n")
            print(runs[-1], flush=True)
    print(json.loads(out.read_text())["mean"])


if __name__ == "__main__":
    main()
