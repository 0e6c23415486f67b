"""The smallest model that exports, and how a refusal of it reads."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgeq import nn
from tests.command_line import Ended

ROWS = 24


def rows(features: int = 4) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(ROWS, features)).astype(np.float32)


def model(calibration: Any = None) -> nn.Model:
    """The smallest thing that exports."""
    torch.manual_seed(1)
    body = nn.Sequential(nn.Linear(4, 6, "ternary"), nn.ReLU(), nn.Linear(6, 2, 8))
    return nn.Model(body, (4,), name="small", calibration=calibration)


def assert_refused(ended: Ended, code: int, *parts: str, program: str = "") -> None:
    """One line on standard error, none on standard output, every part of the message.

    program: Python that does it right, which stands below the line as it would be typed.
    """
    assert ended.code == code, ended
    assert ended.out == ""
    assert ended.err.startswith("edgeq: ")
    line, below = ended.err.split("\n", 1)
    typed = "".join(f"  {typed}\n" for typed in program.splitlines())
    assert below == typed, ended.err
    assert line.endswith(":") == bool(program), ended.err
    assert "Traceback" not in ended.err
    for part in parts:
        assert part in ended.err, ended.err


def listing(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}
