"""Tables between marks of a README."""

from pathlib import Path

import pytest

from edgeq.errors import BadInput
from edgeq.reporting.markdown import END, START, write_table


def test_a_named_table_leaves_the_others_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    named = "<!-- table boards: start, written by a script -->", "<!-- table boards: end -->"
    readme.write_text(f"a\n{START}\nold\n{END}\nb\n{named[0]}\nold\n{named[1]}\nc\n")
    write_table(readme, "new", "boards")
    assert readme.read_text() == f"a\n{START}\nold\n{END}\nb\n{named[0]}\nnew\n{named[1]}\nc\n"
    write_table(readme, "first")
    assert f"{START}\nfirst\n{END}" in readme.read_text()
    with pytest.raises(BadInput, match="lacks the marks <!-- table cost: start"):
        write_table(readme, "new", "cost")
