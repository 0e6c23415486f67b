"""matrix.toml: what is read, and what is refused with the line and the next step."""

from pathlib import Path

import pytest

from edgeq.errors import BadInput
from edgeq.farming.matrix import cells_of, read_matrix

GOOD = """\
limit = 5
[models]
a = "a.pt"
b = "b"
[boards.virtual_m4]
[boards.nucleo_f446re]
ports = ["/dev/ttyACM0"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.pt").write_bytes(b"")
    (tmp_path / "b").mkdir()
    return tmp_path


def written(folder: Path, text: str) -> Path:
    (folder / "matrix.toml").write_text(text)
    return folder / "matrix.toml"


def test_models_by_boards(folder: Path) -> None:
    matrix = read_matrix(written(folder, GOOD))
    names = [cell.name for cell in cells_of(matrix, folder)]
    assert names == ["a@virtual_m4", "b@virtual_m4", "a@nucleo_f446re", "b@nucleo_f446re"]
    assert [entry.farmed for entry in matrix.boards.values()] == [True, False]


@pytest.mark.parametrize(
    ("what", "instead", "said"),
    [
        ("limit = 5", "limit = 0", "limit: Input should be greater than or equal to 1"),
        ("limit = 5", 'limit = "5"', "limit: Input should be a valid integer"),
        ("limit = 5", "limits = 5", "limits: Extra inputs are not permitted"),
        ("limit = 5", "limit = ", r"cannot be read as TOML: .*line 1"),
        ('a = "a.pt"', 'a = "c.pt"', r"models\.a: .*c\.pt is not there; paths are relative"),
        ('a = "a.pt"', '"../a" = "a.pt"', r"models\..*String should match pattern"),
        ("[boards.virtual_m4]", "[boards.virtual_m5]", r"boards\.virtual_m5: .*virtual_m5"),
        ("[boards.virtual_m4]", "[boards.f446re]", r"write its name, nucleo_f446re"),
        ("ports = [", "virtual = true\nports = [", "give one of places, ports and virtual"),
        ('ports = ["/dev/ttyACM0"]', "places = []", "at least 1 item"),
        ('[models]\na = "a.pt"\nb = "b"', "", "models: Field required"),
        ("limit = 5", 'data = "rows.npz"', r"data: .*rows\.npz is not there"),
    ],
)
def test_refused(folder: Path, what: str, instead: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_matrix(written(folder, GOOD.replace(what, instead)))


def test_no_file_no_text_too_long(folder: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        read_matrix(folder / "gone.toml")
    (folder / "matrix.toml").write_bytes(b"\xff")
    with pytest.raises(BadInput, match="cannot be read as TOML"):
        read_matrix(folder / "matrix.toml")
    with pytest.raises(BadInput, match="too many for a matrix"):
        read_matrix(written(folder, "#" * (1 << 20) + "\n"))
