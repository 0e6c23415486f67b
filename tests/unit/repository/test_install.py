"""The package as it is installed: what it holds, what it weighs, how fast it starts."""

import json
from pathlib import Path

import pytest

from tests import install_sizes as install


def test_the_table_is_the_records() -> None:
    record = json.loads(install.RECORD.read_text(encoding="utf-8"))
    assert install.table(record) in install.PAGE.read_text(encoding="utf-8")
    rows = {row["extras"]: row for row in record["rows"]}
    assert tuple(rows) == install.WANTED
    assert rows[install.BASE]["bytes"] < install.MOST_BASE_BYTES
    assert all(row["help_cpu_seconds"] < install.MOST_HELP_S for row in rows.values())
    tried = {row["python"].rpartition(".")[0]: row for row in record["pythons"]}
    assert tuple(tried) == install.PYTHONS
    assert all(row["samples"] and not row["mismatches"] for row in tried.values())


@pytest.mark.full
def test_the_built_package_works_by_itself(tmp_path: Path) -> None:
    """sdist and wheel hold every data file; the base install runs, within its bounds."""
    sdist, wheel = install.built(tmp_path / "dist")
    assert install.data_of_wheel(wheel) == install.data_files()
    assert install.data_of_sdist(sdist) == install.data_files()
    edgeq = install.installed(wheel, install.BASE, tmp_path / "venv")
    assert install.size_of(tmp_path / "venv") < install.MOST_BASE_BYTES
    assert install.cpu_seconds(edgeq, "--help") < install.MOST_HELP_S
    boards = json.loads(install.run(edgeq, "boards", "--json"))["boards"]
    assert {board["name"] for board in boards} >= {"virtual_m4", "nucleo_l4r5zi"}
