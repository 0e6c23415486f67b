"""Kernels of an export by name and version, so that two exports may stand in one program."""

import hashlib
import re
from functools import lru_cache
from pathlib import Path

from edgeq.kernels.table import VERSION
from edgeq.resources import templates_dir

DIGITS = 8
_FUNCTION = re.compile(r"(?m)^EDGEQ_KERNEL [\w ]*?\b(edgeq_\w+)\(")
_PLAIN = "#define EDGEQ_KERNEL_VERSION 0x00000000\n"


@lru_cache(maxsize=1)
def kernel_version() -> str:
    """Eight hexadecimal digits that change with any kernel's source or header."""
    sha = hashlib.sha256()
    for path in sorted(_files()):
        sha.update(path.name.encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()[:DIGITS]


def version_header() -> bytes:
    """edgeq_kernel_version.h of an export: every kernel's name with its version behind it."""
    plain = (_folder() / VERSION).read_text()
    if plain.count(_PLAIN) != 1:
        raise ValueError(f"{VERSION} no longer states the version as the exporter expects")
    renames = "".join(f"#define {name} {name}_{kernel_version()}\n" for name in functions())
    stated = f"#define EDGEQ_KERNEL_VERSION 0x{kernel_version()}\n"
    return plain.replace(_PLAIN, f"{stated}\n{renames}").encode()


@lru_cache(maxsize=1)
def functions() -> tuple[str, ...]:
    """Every function that a kernel file offers, sorted."""
    texts = (path.read_text() for path in _files() if path.suffix == ".c")
    return tuple(sorted(name for text in texts for name in _FUNCTION.findall(text)))


def _folder() -> Path:
    return templates_dir() / "kernels"


def _files() -> list[Path]:
    return [p for p in _folder().iterdir() if p.suffix in (".c", ".h")]
