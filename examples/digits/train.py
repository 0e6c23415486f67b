"""Trains a small mixture of ternary, 4-bit and 8-bit experts on scikit-learn's 8x8 digits."""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

import edgeq
from edgeq import nn

SEED = 0
EPOCHS = 30
HIDDEN = (64, 32)
KINDS = ("ternary", 4, 8)
CALIBRATION_ROWS = 200


def digits() -> nn.Split:
    """1,797 images as (64,) float rows in 0..1: a part each to train, to stop early, to test."""
    data = load_digits()
    x = (data.data / 16.0).astype(np.float32)
    return nn.split(x, data.target.astype(np.int64), validation=0.15, test=0.2, seed=SEED)


def shifted(
    x: torch.Tensor, y: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Moves half of the images (N, 64) by up to one pixel, so that their place matters less."""
    rows = len(x)
    padded = torch.nn.functional.pad(x.reshape(rows, 8, 8), (1, 1, 1, 1))
    start = torch.randint(0, 3, (rows, 2), generator=generator)
    start[torch.rand(rows, generator=generator) < 0.5] = 1
    steps = torch.arange(8)
    down, right = start[:, :1] + steps, start[:, 1:] + steps
    moved = padded[torch.arange(rows)[:, None, None], down[:, :, None], right[:, None, :]]
    return moved.reshape(rows, 64), y


def mixture() -> nn.Mixture:
    """Three experts of the same shape and different precision behind a Bayesian router."""
    experts = [
        nn.paper_expert(in_features=64, hidden=HIDDEN, classes=10, kind=kind, dropout=0.05)
        for kind in KINDS
    ]
    router = nn.BayesianRouter(64, len(KINDS), hidden=(32, 16), dropout=0.1, passes=10, seed=SEED)
    return nn.Mixture(experts, router, KINDS)


def train(epochs: int = EPOCHS, progress: bool = True) -> nn.Model:
    """The trained model, with its calibration and evaluation sets."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    data = digits()
    model = nn.Model(
        mixture(), (64,), [str(d) for d in range(10)], evaluation=data.test, name="digits"
    )
    nn.fit(
        model,
        data.train,
        data.validation,
        epochs=epochs,
        seed=SEED,
        patience=10,
        augment=shifted,
        progress=progress,
    )
    model.calibrate(data.train[0][:CALIBRATION_ROWS])
    return model


def main() -> None:
    """`python train.py --out model.pt`"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("model.pt"))
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    options = parser.parse_args()
    start = time.process_time()
    model = train(options.epochs)
    x, y = model.evaluation
    logits, routes = model.predict(x)
    edgeq.save(model, options.out)
    shares = ", ".join(
        f"{kind} {share:.0%}"
        for kind, share in zip(KINDS, np.bincount(routes, minlength=3) / len(routes), strict=True)
    )
    print(f"test accuracy {(logits.argmax(1) == y).mean():.2%} in PyTorch; routes: {shares}")
    print(f"{options.out} written after {time.process_time() - start:.0f} s of processor time")


if __name__ == "__main__":
    main()
