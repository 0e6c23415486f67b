"""Zip archives from strangers: what an archive holds is known, and bounded, before it is inflated.

Model files, .npz data and stored graphs are zip archives. Raises ValueError with the reason, which
the readers turn into their own error. Formats: PKWARE APPNOTE 6.3.10; NumPy's NEP 1 (.npy).
"""

import math
import re
import stat
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
MAX_ENTRIES = 20_000
MAX_DIRECTORY_BYTES = 4 << 20
MAX_INFLATION = 32  # what deflated arrays may grow by, once they are large
SMALL_BYTES = 128 << 20  # and what they may hold whatever their size in the file
_END = 22  # bytes of the end-of-directory record; a comment of up to 65,535 may follow
_ENCRYPTED = 0x1
_METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}
_NPY = re.compile(
    rb"\{\s*'descr':\s*'([<>|=]?[a-zA-Z]\d{0,9})',\s*'fortran_order':\s*(True|False),"
    rb"\s*'shape':\s*\(((?:\d{1,18},\s*){0,31}(?:\d{1,18})?)\),?\s*\}\s*"
)
# What ZipFile and its entries raise on damage, beside ValueError.
_DAMAGE = (zipfile.BadZipFile, OSError, EOFError, RuntimeError, zlib.error, OverflowError)


@dataclass(frozen=True)
class StoredZip:
    """An archive whose entries were checked; `entries` by name."""

    path: Path
    entries: Mapping[str, zipfile.ZipInfo]

    def read(self, name: str) -> bytes:
        """The bytes of an entry, its CRC checked. Raises ValueError when it is damaged."""
        info = self.entries[name]
        try:
            with zipfile.ZipFile(self.path) as archive:
                data = archive.read(info)
        except _DAMAGE as error:
            raise ValueError(f"its entry {name[:60]!r} is damaged ({error})") from None
        if len(data) != info.file_size:
            raise ValueError(f"its entry {name[:60]!r} is cut")
        return data

    def read_array(self, name: str) -> Array:
        """The .npy array of an entry; nothing is unpickled."""
        return npy_array(self.read(name), name)


def open_zip(path: Path, most_bytes: int, *, deflated: bool = False) -> StoredZip:
    """Checks kind and size of the file, and every entry's method, size and name.

    `deflated`: compressed entries are taken, too. Raises ValueError, with the reason, for anything
    a well-meant archive has not: special files, encryption, overlaps, bombs, names twice.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a FIFO would block for ever
            raise ValueError("it is no regular file")
        if status.st_size > most_bytes:
            raise ValueError(f"it has {status.st_size:,} bytes, at most {most_bytes:,} are read")
        with path.open("rb") as file:
            _check_directory(file, status.st_size)
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except _DAMAGE as error:
        said = getattr(error, "strerror", None) or error
        raise ValueError(str(said)) from None
    _check_entries(entries, status.st_size, most_bytes, deflated)
    return StoredZip(path, {entry.filename: entry for entry in entries})


def _check_directory(file: BinaryIO, size: int) -> None:
    """Before ZipFile makes an object of each entry: how many there may be."""
    file.seek(max(0, size - _END - 65_535))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END > len(tail):
        raise ValueError("it is no zip archive, or it is truncated")
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    wide = tail.rfind(b"PK\x06\x06", 0, at)
    if wide >= 0 and wide + 56 <= at:  # ZIP64, which torch.save always writes
        directory = max(
            directory & 0xFFFFFFFF if directory != 0xFFFFFFFF else 0,
            int.from_bytes(tail[wide + 40 : wide + 48], "little"),
        )
    if directory > MAX_DIRECTORY_BYTES:
        raise ValueError(f"its directory claims {directory:,} bytes")


def _check_entries(
    entries: list[zipfile.ZipInfo], size: int, most_bytes: int, deflated: bool
) -> None:
    if len(entries) > MAX_ENTRIES:
        raise ValueError(f"it has {len(entries):,} entries; the limit is {MAX_ENTRIES:,}")
    if len({entry.filename for entry in entries}) < len(entries):
        raise ValueError("it holds two entries of one name")
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise ValueError("it is encrypted")
    known = set(_METHODS) if deflated else {zipfile.ZIP_STORED}
    odd = sorted({entry.compress_type for entry in entries} - known)
    if odd:
        methods = ", ".join(_METHODS.get(method, f"method {method}") for method in odd)
        raise ValueError(f"it has compressed entries ({methods}), which are not read here")
    inflated = sum(entry.file_size for entry in entries)
    if inflated > most_bytes or (deflated and inflated > max(SMALL_BYTES, MAX_INFLATION * size)):
        raise ValueError(f"its {size:,} bytes would inflate to {inflated:,} (a zip bomb?)")
    stored = sum(e.file_size for e in entries if e.compress_type == zipfile.ZIP_STORED)
    if stored > size or sum(entry.compress_size for entry in entries) > size:
        raise ValueError("its entries overlap")


def npy_array(data: bytes, name: str) -> Array:
    """The array of a .npy file; ValueError for objects, records, and sizes that do not agree."""
    start, header = _npy_header(data, name)
    found = _NPY.fullmatch(header)
    if not found:
        raise ValueError(f"{name[:60]!r} is no plain array of numbers")
    try:
        dtype = np.dtype(found[1].decode())
    except TypeError:
        raise ValueError(f"{name[:60]!r} holds no type that is known") from None
    if dtype.kind not in "biufcSU" or not dtype.itemsize:
        raise ValueError(f"{name[:60]!r} holds {dtype}, no plain numbers")
    shape = tuple(int(n) for n in re.findall(rb"\d+", found[3]))
    count = math.prod(shape)
    if count * dtype.itemsize != len(data) - start:
        raise ValueError(
            f"{name[:60]!r} has shape {shape} of {dtype}, which is not what its "
            f"{len(data) - start:,} bytes hold"
        )
    flat = np.frombuffer(data, dtype, count, start) if count else np.empty(0, dtype)
    order = "F" if found[2] == b"True" else "C"
    return flat.astype(dtype.newbyteorder("=")).reshape(shape, order=order)  # type: ignore[call-overload, no-any-return]


def _npy_header(data: bytes, name: str) -> tuple[int, bytes]:
    """Where the numbers begin, and the text before them."""
    if data[:6] != b"\x93NUMPY" or data[6:8] not in (b"\x01\x00", b"\x02\x00"):
        raise ValueError(f"{name[:60]!r} is no .npy array")
    at = 10 if data[6] == 1 else 12
    end = at + int.from_bytes(data[8:at], "little")
    if end > len(data) or end - at > 10_000:
        raise ValueError(f"{name[:60]!r} has a damaged .npy header")
    return end, data[at:end]
