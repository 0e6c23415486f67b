"""Data sets that users hand over, and what is no data set: one clear error, in no time."""

import io
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeq.arrays import model_rows, read_npz
from edgeq.errors import BadInput
from edgeq.stored_zip import npy_array


def npy(value: np.ndarray, allow_pickle: bool = False) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, value, allow_pickle=allow_pickle)
    return out.getvalue()


def archive(path: Path, method: int = zipfile.ZIP_STORED, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in entries.items():
            file.writestr(f"{name}.npy", data)
    return path


def with_shape(data: bytes, shape: bytes) -> bytes:
    """The same numbers under another shape; the header keeps its length."""
    return data.replace(b"(3, 4)", shape).replace(b" " * (len(shape) - 6), b"", 1)


def lone_npy(path: Path) -> None:
    path.write_bytes(npy(np.zeros((3, 4), np.float32)))


def no_npy(path: Path) -> None:
    archive(path, x=b"hello", y=npy(np.zeros(3, np.int64)))


def endless(path: Path) -> None:
    x = with_shape(npy(np.zeros((3, 4), np.float32)), b"(1000000000000, 16)")
    archive(path, x=x, y=npy(np.zeros(3, np.int64)))


def objects(path: Path) -> None:
    archive(path, x=npy(np.array([{}], object), allow_pickle=True), y=npy(np.zeros(1, np.int64)))


def unknown_method(path: Path) -> None:
    archive(path, x=npy(np.zeros((3, 4), np.float32)), y=npy(np.zeros(3, np.int64)))
    data = path.read_bytes()
    at = data.find(b"PK\x01\x02")
    path.write_bytes(data[: at + 10] + b"\x5d\x00" + data[at + 12 :])


def encrypted(path: Path) -> None:
    archive(path, x=npy(np.zeros((3, 4), np.float32)), y=npy(np.zeros(3, np.int64)))
    data = path.read_bytes()
    at = data.find(b"PK\x01\x02")
    path.write_bytes(data[: at + 8] + b"\x01\x00" + data[at + 10 :])


def fifo(path: Path) -> None:
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.mkdir()


KINDS = [lone_npy, no_npy, endless, objects, unknown_method, encrypted, fifo, a_folder]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("make", KINDS, ids=[kind.__name__ for kind in KINDS])
def test_case_22_what_is_no_npz_is_one_clear_error(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / "data.npz")
    with pytest.raises(BadInput, match=r"data\.npz: .*; give an \.npz file with keys x, y"):
        read_npz(tmp_path / "data.npz", "x", "y")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_case_22_a_bomb_is_refused_before_it_inflates(method: int, tmp_path: Path) -> None:
    """The directory claims 3 GiB, truly or not: nothing is inflated to find out."""
    path = archive(tmp_path / "data.npz", method, x=bytes(1 << 20), y=npy(np.zeros(3, np.int64)))
    data = path.read_bytes()
    claimed = data.replace((1 << 20).to_bytes(4, "little"), (3 << 30).to_bytes(4, "little"))
    assert claimed != data
    path.write_bytes(claimed)
    with pytest.raises(BadInput, match=r"zip bomb|inflate"):
        read_npz(path, "x", "y")


@pytest.mark.parametrize("kind", [np.float16, np.float32, ">f8", "<i2", np.uint8, np.bool_])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_come_back_as_numpy_wrote_them(kind: str, order: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x = np.asarray(rng.integers(0, 2, (3, 4, 2)).astype(kind), order=order)
    np.savez_compressed(tmp_path / "a.npz", x=x, y=np.zeros((0, 5), np.float32), z=np.float32(3))
    back, empty, scalar = read_npz(tmp_path / "a.npz", "x", "y", "z")
    np.testing.assert_array_equal(back, x)
    assert back.dtype == x.dtype.newbyteorder("=")
    assert (empty.shape, scalar.shape, float(scalar)) == ((0, 5), (), 3.0)


def test_what_float32_cannot_hold_is_refused_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadInput, match="NaN or infinite"):
            model_rows(np.full((2, 3), 1e300), (3,), "x")


def test_a_record_array_is_no_numbers() -> None:
    with pytest.raises(ValueError, match="no plain array"):
        npy_array(npy(np.zeros(3, [("a", np.int8)])), "x.npy")


def test_a_missing_key_names_ten_keys_at_most(tmp_path: Path) -> None:
    archive(tmp_path / "a.npz", **{f"k{i}": b"" for i in range(500)})
    with pytest.raises(BadInput, match=r"has keys k0, .*k9, \.\.\., not x; save it") as caught:
        read_npz(tmp_path / "a.npz", "x")
    assert len(str(caught.value)) < 300


def test_an_entry_without_npy_is_no_key(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("x", npy(np.zeros(3)))
    with pytest.raises(BadInput, match="has keys none, not x"):
        read_npz(tmp_path / "a.npz", "x")


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ((3, 8, 6), "; one row of it is x[None]"),
        ((5, 8, 6, 3), "; turn its axes: x.transpose(0, 3, 1, 2)"),
        ((5, 144), "; as many values: x.reshape(-1, 3, 8, 6)"),
        ((5, 145), ""),
        ((5,), ""),
        ((), ""),
    ],
)
def test_rows_of_a_likely_shape_say_how_to_turn_them(given: tuple[int, ...], advice: str) -> None:
    x = np.zeros(given, np.float32)
    with pytest.raises(BadInput) as refused:
        model_rows(x, (3, 8, 6), "x.npz")
    assert str(refused.value) == f"x.npz has shape {given}, the model takes (N, 3, 8, 6){advice}"
    if "x." in advice:
        right = eval(advice.split(": ")[1], {"x": x})
        assert model_rows(right, (3, 8, 6), "x.npz").shape == (5, 8, 6, 3)
