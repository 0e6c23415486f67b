"""A small saved mixture, and firmware sources that a test may spoil."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn
from edgeq.emit import firmware
from edgeq.resources import templates_dir


def rows() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(60, 6)).astype(np.float32)


def small_model() -> nn.Model:
    """Three experts, of which the router takes one: the others are reached by force only."""
    torch.manual_seed(2)
    kinds = ("ternary", "int4", "int8")
    experts = [nn.Sequential(nn.Linear(6, 8, k), nn.ReLU(), nn.Linear(8, 4)) for k in kinds]
    router = nn.BayesianRouter(6, 3, hidden=(8, 4), passes=4)
    model = nn.Model(nn.Mixture(experts, router, kinds, rule="off"), (6,), name="small")
    model.train()
    with torch.no_grad():
        router.fc3.bias[:] = torch.tensor([-9.0, -9.0, 9.0])
        for _ in range(20):
            model(torch.from_numpy(rows()))
    model.calibrate(rows())
    return model


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "model.pt"
    edgeq.save(small_model(), path)
    return path


Spoil = Callable[[str, str, str], None]


@pytest.fixture
def spoil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spoil:
    """spoil(kernel file, text, another text) plants a fault in a kernel that exports copy."""
    copy = tmp_path / "templates"

    def plant(name: str, text: str, wrong: str) -> None:
        shutil.copytree(templates_dir(), copy)
        path = copy / "kernels" / name
        source = path.read_text()
        assert source.count(text) >= 1, name
        path.write_text(source.replace(text, wrong))
        monkeypatch.setattr(firmware, "templates_dir", lambda: copy)

    return plant
