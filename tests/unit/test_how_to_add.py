"""docs/how_to_add.md shows the files as they are, and that an op needs no others."""

import re
from pathlib import Path

import pytest

from tests.unit.test_how_to_add_the_rest import blocks

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how_to_add.md").read_text()
OP = PAGE.partition("## An op\n")[2].partition("### ")[0]
HEADS = re.compile(r"^`([\w/]+\.py)`\n", re.MULTILINE)
BLOCKS = re.compile(r"```python\n(.*?)```", re.DOTALL)
MOST_FILES, MOST_LINES = 5, 60
FRONTENDS = ("tflite_ops", "tflite_float", "onnx_ops", "torch_values")
READERS = tuple(f"edgeq/frontend/{name}.py" for name in FRONTENDS)
LAYERS = "edgeq/nn/activations.py"
NAMES = re.compile(r"LeakyRelu|LeakyReLU|leaky_relu")


def shown() -> dict[str, list[str]]:
    """File -> its lines on the page; a block belongs to the file named last before it."""
    parts = HEADS.split(OP)[1:]
    texts = zip(parts[::2], parts[1::2], strict=True)
    return {name: "".join(BLOCKS.findall(text)).splitlines() for name, text in texts}


def naming(folders: tuple[str, ...], names: re.Pattern[str]) -> set[str]:
    """Files of the product in which a name stands."""
    files = (p for folder in folders for p in (ROOT / folder).rglob("*") if p.is_file())
    texts = ((p, p.read_bytes().decode(errors="replace")) for p in files if p.suffix != ".pyc")
    return {p.relative_to(ROOT).as_posix() for p, text in texts if names.search(text)}


@pytest.mark.parametrize("name", shown())
def test_the_page_shows_the_file(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    assert shown()[name]
    assert [line for line in shown()[name] if line not in lines] == []


def test_a_file_of_its_own_is_shown_whole() -> None:
    for name, lines in shown().items():
        if NAMES.search(Path(name).name):
            assert lines == (ROOT / name).read_text().splitlines()


def test_the_op_stands_in_these_files_and_no_others() -> None:
    product = {name for name in shown() if not name.startswith("tests/")}
    found = naming(("edgeq", "firmware_templates", "boards"), NAMES)
    assert found - set(READERS) == product
    assert len(product) <= MOST_FILES


def test_its_readers_have_a_row_each_as_the_page_shows() -> None:
    rows = BLOCKS.findall(PAGE.partition("### Its readers\n")[2])[0].splitlines()
    for name, row in zip(READERS, rows, strict=True):
        assert (ROOT / name).read_text().splitlines().count(row) == 1
        assert len(NAMES.findall((ROOT / name).read_text())) == len(NAMES.findall(row))


def test_it_is_as_short_as_it_says() -> None:
    """Lines that are the op's: all of its own files, and those of the tables that name it."""
    classes = [i for i, line in enumerate(shown()[LAYERS]) if line.startswith("class ")]
    body = [line for line in shown()[LAYERS][classes[0] :] if not line.startswith("ACTIVATIONS")]
    tables = sum(len(lines) for name, lines in shown().items() if name != LAYERS)
    registry, blank_before_a_class = 2, 2
    assert tables + len(body) + registry + blank_before_a_class <= MOST_LINES


def test_another_place_would_be_seen() -> None:
    """The negative case: an op that a pass names stands in more files."""
    assert "edgeq/passes/fuse_activation.py" in naming(("edgeq",), re.compile(r"\bRelu\b"))


def test_every_file_that_the_page_names_is_there() -> None:
    made = {path for path, language, _ in blocks(PAGE) if language != "diff"}
    named = set(re.findall(r"`((?:edgeq|tests|firmware_templates|ops|nn)/[\w/.]+)`", PAGE))
    assert len(named) > 12
    places = [ROOT, ROOT / "edgeq"]
    assert [n for n in sorted(named - made) if not any((p / n).exists() for p in places)] == []
