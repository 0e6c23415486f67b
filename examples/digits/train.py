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
EPOCHS = 15
SHAPE = (1, 8, 8)
KINDS = ("ternary", "int4", "int8")
HIDDEN = 32
CHEAP_LR = 6e-3
CALIBRATION_ROWS = 200


def digits() -> nn.Split:
    """1,797 images (1, 8, 8) in 0..1: one part to train, one to stop early, one to test."""
    data = load_digits()
    x = (data.images / 16.0).astype(np.float32)[:, None]
    return nn.split(x, data.target.astype(np.int64), validation=0.15, test=0.2, seed=SEED)


def shifted(
    x: torch.Tensor, y: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Moves half of the images by up to one pixel, so that their place matters less."""
    rows = len(x)
    padded = torch.nn.functional.pad(x[:, 0], (1, 1, 1, 1))
    start = torch.randint(0, 3, (rows, 2), generator=generator)
    start[torch.rand(rows, generator=generator) < 0.5] = 1
    steps = torch.arange(8)
    down, right = start[:, :1] + steps, start[:, 1:] + steps
    moved = padded[torch.arange(rows)[:, None, None], down[:, :, None], right[:, None, :]]
    return moved[:, None], y


def network() -> nn.TrunkMixture:
    """Two 8-bit convolutions that all share, then three experts behind a Bayesian router."""
    trunk = nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1, kind="int8"), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 16, 3, stride=2, padding=1, kind="int8"), nn.BatchNorm2d(16), nn.ReLU()),
        nn.Flatten(),
    )
    width = 16 * 4 * 4
    router = nn.BayesianRouter(width, len(KINDS), hidden=(32, 16), dropout=0.1, seed=SEED)
    return nn.TrunkMixture(trunk, nn.Mixture([expert(width, k) for k in KINDS], router, KINDS))


def expert(width: int, kind: str) -> nn.Sequential:
    """A hidden layer of that kind and an 8-bit head."""
    return nn.Sequential(nn.Linear(width, HIDDEN, kind), nn.ReLU(), nn.Linear(HIDDEN, 10, "int8"))


def single(kind: str, seed: int = SEED) -> nn.Model:
    """Untrained: two 8-bit convolutions, a hidden layer of that kind, an 8-bit head."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body = nn.Sequential(
            *nn.conv_block(1, 8, "int8"),
            *nn.conv_block(8, 16, "int8", stride=2),
            nn.Flatten(),
            *(nn.Linear(16 * 4 * 4, HIDDEN, kind), nn.ReLU(), nn.Linear(HIDDEN, 10, "int8")),
        )
        return nn.Model(body, SHAPE, [str(digit) for digit in range(10)], name="digits")


def precise(
    rows: tuple[np.ndarray, np.ndarray], seed: int = SEED, *, progress: bool = True
) -> nn.Model:
    """The 8-bit network, trained on the labels of (x, y)."""
    model = single("int8", seed)
    nn.fit(model, rows, epochs=EPOCHS, seed=seed, augment=shifted, progress=progress)
    return model


def cheap(
    wide: nn.Model,
    width: float,
    teacher: nn.Model,
    x: np.ndarray,
    seed: int = SEED,
    *,
    progress: bool = True,
) -> nn.Model:
    """`wide` with `width` times the channels, trained on the answers of `teacher` alone."""
    model = nn.narrowed(wide, width, seed=seed)
    nn.distill(
        model, teacher, x, epochs=EPOCHS, lr=CHEAP_LR, seed=seed, augment=shifted, progress=progress
    )
    return model


def train(epochs: int = EPOCHS, progress: bool = True) -> nn.Model:
    """The trained model, with its calibration and evaluation sets."""
    torch.set_num_threads(1)
    data = digits()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        body = network()
    names = [str(digit) for digit in range(10)]
    model = nn.Model(body, SHAPE, names, evaluation=data.test, name="digits")
    nn.fit(
        model,
        data.train,
        data.validation,
        epochs=epochs,
        seed=SEED,
        augment=shifted,
        progress=progress,
    )
    model.calibrate(data.train[0][:CALIBRATION_ROWS])
    return model


def score(model: nn.Model) -> tuple[float, dict[str, float]]:
    """(accuracy, share of each expert) on the test part, in PyTorch."""
    assert model.evaluation is not None
    x, y = model.evaluation
    logits, routes = model.predict(x)
    assert routes is not None
    shares = np.bincount(routes, minlength=len(KINDS)) / len(routes)
    return float((logits.argmax(1) == y).mean()), dict(zip(KINDS, shares.tolist(), strict=True))


def main() -> None:
    """`python train.py --out model.pt`"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("model.pt"))
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    options = parser.parse_args()
    start = time.process_time()
    model = train(options.epochs)
    accuracy, shares = score(model)
    edgeq.save(model, options.out)
    told = ", ".join(f"{kind} {share:.0%}" for kind, share in shares.items())
    print(f"test accuracy {accuracy:.2%} in PyTorch; routes: {told}")
    print(f"{options.out} written after {time.process_time() - start:.0f} s of processor time")


if __name__ == "__main__":
    main()
