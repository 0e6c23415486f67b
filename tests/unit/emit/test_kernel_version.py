"""The version of an export's kernels, and the names that carry it."""

import re
import shutil
from pathlib import Path

import pytest

from edgeq.emit import kernel_version
from edgeq.kernels import KERNELS
from edgeq.kernels.table import VERSION
from edgeq.resources import templates_dir

CACHED = (kernel_version.kernel_version, kernel_version.functions)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the kernels, which the exporter then takes; nothing of it is remembered."""
    shutil.copytree(templates_dir() / "kernels", tmp_path / "kernels")
    monkeypatch.setattr(kernel_version, "templates_dir", lambda: tmp_path)
    forget()
    yield tmp_path / "kernels"
    forget()


def forget() -> None:
    for cached in CACHED:
        cached.cache_clear()


def test_every_kernel_of_the_table_is_renamed() -> None:
    found = kernel_version.functions()
    assert {k.name for k in KERNELS} <= set(found)
    assert list(found) == sorted(set(found))
    version = kernel_version.kernel_version()
    assert re.fullmatch("[0-9a-f]{8}", version)
    lines = kernel_version.version_header().decode().splitlines()
    assert [line for line in lines if line.startswith("#define edgeq_")] == [
        f"#define {name} {name}_{version}" for name in found
    ]
    assert f"#define EDGEQ_KERNEL_VERSION 0x{version}" in lines
    assert "0x00000000" not in "".join(lines)


@pytest.mark.parametrize("suffix", [".c", ".h"])
def test_any_byte_of_a_source_or_header_changes_the_version(folder: Path, suffix: str) -> None:
    before = kernel_version.kernel_version()
    for path in sorted(folder.glob(f"*{suffix}"))[:3]:
        path.write_bytes(path.read_bytes() + b" ")
        forget()
        assert kernel_version.kernel_version() != before
        before = kernel_version.kernel_version()
    (folder / "notes.txt").write_text("no kernel")
    forget()
    assert kernel_version.kernel_version() == before


def test_the_version_knows_where_a_file_ends(folder: Path) -> None:
    """Bytes that move from a file's name or text into another's are a change."""
    for path in folder.iterdir():
        path.unlink()
    versions = set()
    for name, text in (("a.c", "bc"), ("ab.c", "c"), ("a.c", ""), ("a.c", "b")):
        path = folder / name
        path.write_text(text)
        forget()
        versions.add(kernel_version.kernel_version())
        path.unlink()
    assert len(versions) == 4


def test_functions_of_headers_are_not_renamed(folder: Path) -> None:
    """Those are inline: no other object sees them."""
    before = kernel_version.functions()
    (folder / "more.h").write_text("EDGEQ_KERNEL void edgeq_in_a_header(int x);\n")
    (folder / "more.c").write_text(
        "EDGEQ_KERNEL int32_t edgeq_more(int x) {}\nstatic void edgeq_inner(int x) {}\n"
    )
    forget()
    assert set(kernel_version.functions()) == {*before, "edgeq_more"}


@pytest.mark.parametrize("times", [0, 2])
def test_a_version_header_of_another_text_is_refused(folder: Path, times: int) -> None:
    plain = "#define EDGEQ_KERNEL_VERSION 0x00000000\n"
    (folder / VERSION).write_text("/* */\n" + plain * times)
    with pytest.raises(ValueError, match="no longer states"):
        kernel_version.version_header()
