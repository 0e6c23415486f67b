"""`edgeq export` with bad files: one clear line, the right exit code, nothing half-written."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn
from edgeq.nn import archive
from tests.command_line import Ended
from tests.unit.small_model import ROWS, assert_refused, listing, model, rows

Breaker = Callable[[Path], Path]


# --- the model file


def absent(path: Path) -> Path:
    return path.with_name("absent.pt")


def truncated(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-200])
    return path


def empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def text(path: Path) -> Path:
    path.write_text("weights: 1 2 3\n")
    return path


def bare_state(path: Path) -> Path:
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    return path


class _Payload:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.target}",)


def poisoned(path: Path) -> Path:
    torch.save(_Payload(path.with_name("executed")), path)
    return path


def edited(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    return path


def with_nan(path: Path) -> Path:
    return edited(path, lambda c: next(iter(c["state_dict"].values())).fill_(float("nan")))


def unknown_layers(path: Path) -> Path:
    def change(content: dict[str, Any]) -> None:
        layers = content["config"]["body"]["layers"]
        layers[0], layers[1] = {"kind": "attention"}, {"kind": "celu"}

    return edited(path, change)


def no_kernel(path: Path) -> Path:
    """Two ops that no kernel computes, as an edgeq that did not check them would have saved."""
    pools = [nn.AvgPool2d(2, 2, 0), nn.AvgPool2d(2, 2, 0)]
    body = nn.Sequential(nn.Conv2d(2, 4, 3), *pools, nn.GlobalAvgPool(), nn.Linear(4, 2))
    x = np.random.default_rng(0).normal(size=(8, 2, 8, 8)).astype(np.float32)
    edgeq.save(nn.Model(body, (2, 8, 8), calibration=x), path)

    def change(content: dict[str, Any]) -> None:
        for pool in content["config"]["body"]["layers"][1:3]:
            pool["padding"] = [1, 1]

    return edited(path, change)


BAD_FILES: dict[str, tuple[Breaker, int, tuple[str, ...]]] = {
    "absent": (absent, 2, ("no such file", "edgeq.save")),
    "truncated": (truncated, 3, ("edgeq.save",)),
    "empty": (empty, 3, ("not an edgeq model",)),
    "text": (text, 3, ("not an edgeq model", "edgeq.save")),
    "a state dict": (bare_state, 3, ("edgeq.save",)),
    "poisoned": (poisoned, 3, ("refused", "execute code", "edgeq.save")),
    "NaN": (with_nan, 3, ("NaN",)),
    "unknown layers": (unknown_layers, 3, ("layers[0]", "'attention'", "layers[1]", "'celu'")),
    "no kernel": (no_kernel, 3, ("body.1 (AvgPool2d", "body.2 (AvgPool2d")),
}
OF_TORCH = {"a state dict", "poisoned"}  # what others save: the way from there is shown


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_model_file_is_refused(
    name: str, sound: Path, tmp_path: Path, run: Callable[..., Ended]
) -> None:
    spoil, code, parts = BAD_FILES[name]
    path = spoil(sound)
    before = listing(tmp_path)
    ended = run("export", path, "--target", "cortex-m4", "--out", tmp_path / "out")
    assert_refused(ended, code, *parts, program=archive.FROM_TORCH if name in OF_TORCH else "")
    assert listing(tmp_path) == before, "something was written, or the file ran"


def test_the_python_that_a_refusal_shows_does_it_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def net() -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 2))

    monkeypatch.chdir(tmp_path)
    wanted = net()
    torch.save(wanted.state_dict(), "weights.pt")
    exec(archive.FROM_TORCH, {"Net": net, "torch": torch, "edgeq": edgeq})
    x = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(nn.load(tmp_path / "model.pt")(x), wanted(x))


def test_an_oversized_model_file_is_refused(
    sound: Path, tmp_path: Path, run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    with sound.open("r+b") as file:
        file.truncate(archive.MAX_BYTES + 1)  # a hole: takes no room on the disk
    ended = run("export", sound, "--target", "cortex-m4", "--out", tmp_path / "out")
    assert_refused(ended, 3, "bytes; the limit is 536,870,912")
    assert listing(tmp_path) == {"model.pt"}


# --- calibration


def npz(name: str, **arrays: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        np.savez(folder / name, **arrays)
        return folder / name

    return write


def plain(name: str, data: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return write


def pickled(folder: Path) -> Path:
    np.savez(folder / "p.npz", x=np.array([_Payload(folder / "executed")], dtype=object))
    return folder / "p.npz"


NAN = np.where(np.arange(ROWS * 4).reshape(ROWS, 4) == 7, np.nan, rows())
BAD_CALIBRATION: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "wrong shape": (npz("c.npz", x=rows(5)), ("(24, 5)", "(N, 4)")),
    "one row without its axis": (npz("c.npz", x=rows()[0]), ("(4,)", "(N, 4)")),
    "empty": (npz("c.npz", x=rows()[:0]), ("empty", "(N, 4)")),
    "constant": (npz("c.npz", x=np.ones((8, 4), np.float32)), ("constant",)),
    "NaN": (npz("c.npz", x=NAN), ("NaN",)),
    "infinite": (npz("c.npz", x=np.where(np.isnan(NAN), np.inf, NAN)), ("infinite",)),
    "words": (npz("c.npz", x=np.array([["a"] * 4] * 8)), ("not numbers",)),
    "no key x": (npz("c.npz", data=rows()), ("keys data, not x", "np.savez")),
    "a text file": (plain("c.npz", b"1 2 3\n"), ("keys x",)),
    "an empty file": (plain("c.npz", b""), ("keys x",)),
    "pickled objects": (pickled, ("keys x",)),
    "absent": (lambda folder: folder / "absent.npz", ("No such file", "keys x")),
    "a folder": (lambda folder: folder, ("keys x",)),
}


@pytest.mark.parametrize("name", BAD_CALIBRATION)
def test_bad_calibration_data_is_refused(
    name: str, sound: Path, tmp_path: Path, run: Callable[..., Ended]
) -> None:
    make, parts = BAD_CALIBRATION[name]
    path, before = make(tmp_path), listing(tmp_path)
    arguments = ("--target", "cortex-m4", "--out", tmp_path / "out", "--calibration", path)
    assert_refused(run("export", sound, *arguments), 2, *parts)
    assert listing(tmp_path) == before


def test_a_model_without_calibration_names_the_flag(
    tmp_path: Path, run: Callable[..., Ended]
) -> None:
    edgeq.save(model(), tmp_path / "m.pt")
    ended = run("export", tmp_path / "m.pt", "--target", "cortex-m4", "--out", tmp_path / "out")
    assert_refused(ended, 2, "stores no calibration set", "--calibration")
    assert listing(tmp_path) == {"m.pt"}
