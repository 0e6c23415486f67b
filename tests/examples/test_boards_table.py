"""examples/esc10/boards_table.py: the table of what the stored model costs, in a README."""

import importlib.util
from pathlib import Path

import pytest

from edgeq.errors import Toolchain
from edgeq.toolchain import find_compiler

SCRIPT = Path(__file__).parents[2] / "examples" / "esc10" / "boards_table.py"
MARKS = "<!-- table boards: start, written by a script -->\n<!-- table boards: end -->\n"


@pytest.mark.full
def test_the_table_names_its_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        compiler = find_compiler("auto")
    except Toolchain as error:
        pytest.skip(str(error))
    spec = importlib.util.spec_from_file_location("boards_table", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    readme = tmp_path / "README.md"
    readme.write_text(MARKS)
    monkeypatch.setattr(script, "README", readme)
    monkeypatch.setattr(script, "BOARDS", ("virtual_m4",))
    assert script.main(["--write-table"]) == 0
    text = readme.read_text()
    for expert in ("ternary", "int4", "int8"):
        assert f"| `virtual_m4` | {expert} | " in text
    assert text.count("| modelled, cortex-m4/") == 3
    assert text.count("| modelled, measured nJ per cycle |") == 3
    assert compiler.label in text
    assert "-O2" in text
    readme.write_text("no marks\n")
    assert script.main(["--write-table"]) == 2
