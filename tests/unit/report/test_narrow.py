"""Tables on a screen of 80 columns: no number and no word is cut in two."""

import io
import json
from dataclasses import replace
from pathlib import Path

import edgeq
from edgeq.flashers.text import boards_text
from edgeq.reporting.profile_text import profile_text
from edgeq.reporting.terminal import console
from tests.unit.report.made import subject, write_run


def test_case_29_the_experts_table_drops_columns_and_folds_nothing(tmp_path: Path) -> None:
    given = replace(subject(), experts=("ternary", "precision8", "idle"))
    made = write_run(tmp_path / "a", given).summary
    experts = made.entry["experts"]
    for expert in experts:
        expert["latency"] = {**expert["latency"], **dict.fromkeys(("mean", "std", "max"), 123.456)}
        expert["latency"].update(dict.fromkeys(("p50", "p95", "p99"), 123.456))
        expert["accuracy"] = expert["share"] = 1.0
    summary = made.but(experts=experts)
    said = {}
    for width in (80, 120):
        file = io.StringIO()
        console(file=file, width=width, color_system=None).print(profile_text(summary))
        said[width] = file.getvalue()
        assert all(len(line) <= width for line in said[width].splitlines())
        for expert in ("ternary", "precision8"):
            (row,) = [r for r in said[width].splitlines() if r.startswith(expert + " ")]
            assert "100.0%" in row
            assert row.split()[-1] == "uJ" or row.split()[-1].endswith(("J", "-"))
    assert " std " in said[120]
    assert " std " not in said[80]
    assert json.dumps(summary.entry), "the object keeps every figure"


def test_case_29_a_real_board_is_no_emulator() -> None:
    text = boards_text(edgeq.boards())
    assert all(len(line) <= 80 for line in text.splitlines())
    (nucleo,) = [line for line in text.splitlines() if line.startswith("nucleo_f446re")]
    assert "twin only" in nucleo
    assert "emulat" not in nucleo
    (virtual,) = [line for line in text.splitlines() if line.startswith("virtual_m4 ")]
    assert "emulated" in virtual
