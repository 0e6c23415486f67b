"""Projects as values: digests, path safety, whole-or-nothing writes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import BadInput
from edgeq.firmware_project import MARKER_FILE, FirmwareProject

NAMES = st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True), min_size=1, max_size=3).map(
    "/".join
)
PROJECT = FirmwareProject({"main.c": b"int main(void);\n", "model/model.c": b"x\n"})


@given(st.dictionaries(NAMES, st.binary(max_size=20), max_size=5))
def test_digest_ignores_order_and_sees_every_byte(files: dict[str, bytes]) -> None:
    project = FirmwareProject(files)
    backwards = FirmwareProject(dict(reversed(files.items())))
    assert project.digest() == backwards.digest()
    assert project.with_files({"zz.c": b""}).digest() != project.digest()
    for name, data in files.items():
        assert project.with_files({name: data + b"\0"}).digest() != project.digest()
        assert project.without(name).digest() != project.digest()


def test_digest_does_not_confuse_names_with_contents() -> None:
    assert FirmwareProject({"ab": b"c"}).digest() != FirmwareProject({"a": b"bc"}).digest()


def test_write_and_read_agree(tmp_path: Path) -> None:
    PROJECT.write(tmp_path / "out")
    assert FirmwareProject.read(tmp_path / "out") == PROJECT
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_write_replaces_what_edgeq_wrote_and_leaves_no_old_file(tmp_path: Path) -> None:
    PROJECT.write(tmp_path / "out")
    other = FirmwareProject({"main.c": b"new\n"})
    other.write(tmp_path / "out")
    assert FirmwareProject.read(tmp_path / "out") == other
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_write_takes_an_empty_folder_but_no_foreign_one(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    PROJECT.write(tmp_path / "empty")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="not written by edgeq"):
        PROJECT.write(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    with pytest.raises(BadInput, match="not a folder"):
        PROJECT.write(tmp_path / "mine" / "thesis.txt")


def test_a_failed_write_leaves_the_old_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    PROJECT.write(tmp_path / "out")
    rename = Path.rename

    def fails_on_new(source: Path, target: Path) -> Path:
        if source.name == "new":
            raise OSError("disk full")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", fails_on_new)
    with pytest.raises(OSError, match="disk full"):
        FirmwareProject({"main.c": b""}).write(tmp_path / "out")
    assert FirmwareProject.read(tmp_path / "out") == PROJECT
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../up.c", "a/../b.c", "a//b.c", "./a.c", "a\\b.c", "C:x", "a\nb", "a/",
     MARKER_FILE],
)  # fmt: skip
def test_names_that_could_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(BadInput):
        FirmwareProject({name: b""})


def test_read_refuses_what_is_no_project(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="edgeq export"):
        FirmwareProject.read(tmp_path / "absent")
    (tmp_path / "main.c").write_text("")
    with pytest.raises(BadInput, match="holds no firmware project"):
        FirmwareProject.read(tmp_path)


def test_read_refuses_links_and_skips_builds(tmp_path: Path) -> None:
    PROJECT.write(tmp_path / "out")
    (tmp_path / "out" / "build").mkdir()
    (tmp_path / "out" / "build" / "firmware.elf").write_bytes(b"elf")
    assert FirmwareProject.read(tmp_path / "out") == PROJECT
    (tmp_path / "out" / "link.c").symlink_to("/etc/hostname")
    with pytest.raises(BadInput, match="link"):
        FirmwareProject.read(tmp_path / "out")


def test_read_refuses_an_emptied_project(tmp_path: Path) -> None:
    FirmwareProject({}).write(tmp_path / "out")
    with pytest.raises(BadInput, match="empty"):
        FirmwareProject.read(tmp_path / "out")
