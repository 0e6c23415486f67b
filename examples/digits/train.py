"""Trains a cascade on scikit-learn's 8x8 digits: a small network first, a precise one if unsure."""

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
HIDDEN = 32
CHEAP_EPOCHS, CHEAP_LR = 20, 6e-3
CALIBRATION_ROWS = 200
ESCALATE = 0.25  # of the rows that no training saw: examples/cascades chose it


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


def network(seed: int = SEED) -> nn.Cascade:
    """Untrained: a small network without convolutions, then an 8-bit one where it is unsure."""
    return _cascade(dense("int8", seed), single("int8", seed))


def _cascade(first: nn.Model, last: nn.Model) -> nn.Cascade:
    return nn.Cascade([first, last], escalate=ESCALATE, names=("dense", "precise"))


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
    rows: tuple[np.ndarray, np.ndarray],
    seed: int = SEED,
    *,
    epochs: int = EPOCHS,
    progress: bool = True,
) -> nn.Model:
    """The 8-bit network, trained on the labels of (x, y)."""
    model = single("int8", seed)
    nn.fit(model, rows, epochs=epochs, seed=seed, augment=shifted, progress=progress)
    return model


def dense(kind: str, seed: int = SEED) -> nn.Model:
    """Untrained, without convolutions: a thirtieth of the work, a point or two less accurate."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body = nn.Sequential(
            nn.Flatten(), nn.Linear(64, HIDDEN, kind), nn.ReLU(), nn.Linear(HIDDEN, 10, "int8")
        )
        return nn.Model(body, SHAPE, [str(digit) for digit in range(10)], name="digits")


def taught(
    model: nn.Model,
    teacher: nn.Model,
    x: np.ndarray,
    seed: int = SEED,
    *,
    epochs: int = CHEAP_EPOCHS,
    progress: bool = True,
) -> nn.Model:
    """`model`, trained on the answers of `teacher` alone."""
    plan = {"epochs": epochs, "lr": CHEAP_LR, "seed": seed, "progress": progress}
    nn.distill(model, teacher, x, augment=shifted, **plan)
    return model


def train(epochs: int | None = None, progress: bool = True) -> nn.Model:
    """The trained cascade, with its calibration and evaluation sets.

    The precise network learns from the labels, the dense one from its answers. Activation ranges
    and the threshold are settled on the validation part, which neither has seen.
    """
    torch.set_num_threads(1)
    data = digits()
    last = precise(data.train, epochs=epochs or EPOCHS, progress=progress)
    first = dense("int8")
    taught(first, last, data.train[0], epochs=epochs or CHEAP_EPOCHS, progress=progress)
    names = [str(digit) for digit in range(10)]
    model = nn.Model(_cascade(first, last), SHAPE, names, evaluation=data.test, name="digits")
    model.calibrate(data.validation[0])
    return model


def score(model: nn.Model) -> tuple[float, dict[str, float]]:
    """(accuracy, share that each network answers) on the test part, in PyTorch."""
    assert model.evaluation is not None
    x, y = model.evaluation
    logits, routes = model.predict(x)
    assert routes is not None
    shares = np.bincount(routes, minlength=2) / len(routes)
    return float((logits.argmax(1) == y).mean()), dict(
        zip(model.body.names, shares.tolist(), strict=True)
    )


def main() -> None:
    """`python train.py --out model.pt`"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("model.pt"))
    parser.add_argument("--epochs", type=int, default=None, help="of each network")
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
