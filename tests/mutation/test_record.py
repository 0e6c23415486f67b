"""The record of planted faults: it agrees with the docs and with the list of equivalents."""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgeq.kernels import KERNELS
from tests.mutation import record
from tests.mutation.module_trial import ROOT
from tests.mutation.outcome import Outcome
from tests.mutation.units import MODULES, RAN, UNITS

LEAST, LEAST_OF_A_UNIT = 440, 10
SAMPLE = 60


def test_the_docs_show_the_record() -> None:
    page = record.PAGE.read_text(encoding="utf-8")
    shown = page[page.index(record.START) : page.index(record.END) + len(record.END)]
    assert shown == record.table(record.read_record()), "run python -m tests.mutation --table"


def test_every_kernel_and_emitter_is_recorded() -> None:
    units = record.read_record()["units"]
    assert set(units) == set(UNITS), "run python -m tests.mutation"
    assert {kernel.name for kernel in KERNELS} <= set(units)
    for name, entry in units.items():
        ran = [said for said in entry["faults"].values() if said["outcome"] in RAN]
        tried = set(entry["faults"]) >= {fault.id for fault in UNITS[name].faults()}
        assert len(ran) >= LEAST_OF_A_UNIT or tried, name  # a short module has no more


def test_what_writes_c_or_lays_out_weights_is_a_unit() -> None:
    """What firmware_project imports to do so, but for tables, types and data."""
    emit, streams = ROOT / "edgeq" / "emit", ROOT / "edgeq" / "kernels" / "streams"
    own = {
        *emit.glob("firmware*.py"),
        *streams.glob("[!_]*.py"),
    }
    text = (emit / "firmware.py").read_text(encoding="utf-8")
    own |= {emit / f"{name}.py" for name in re.findall(r"from edgeq\.emit\.(\w+) import", text)}
    assert {str(path.relative_to(ROOT)) for path in own} <= {m.file for m in MODULES}


def test_what_survived_is_listed_and_little() -> None:
    """At least 97 % are caught; the others are equivalents, at most 3 %."""
    kept = record.read_record()
    totals, same = record.totals(kept), record.equivalents()
    caught = totals[Outcome.KILLED] + totals[Outcome.TIMEOUT]
    ran = caught + totals[Outcome.SURVIVED] + totals["equivalent"]
    assert ran >= LEAST
    assert caught >= 0.97 * ran
    survived = {f for _, f, _, outcome in record.mutants(kept) if outcome == Outcome.SURVIVED}
    assert survived <= set(same)
    assert set(same) <= survived, "listed, but not in the record: tidy up"


def test_equivalents_are_faults_of_the_code_as_it_is() -> None:
    there = {fault.id for unit in UNITS.values() for fault in unit.faults()}
    assert set(record.equivalents()) <= there, "their lines have changed: look at them again"
    assert all(len(reason) > 20 for reason in record.equivalents().values())


def test_another_table_would_be_seen() -> None:
    """The negative case: a mutant more, an outcome changed."""
    kept = record.read_record()
    before = record.table(kept)
    name, entry = next(iter(kept["units"].items()))
    fault, said = next((f, s) for f, s in entry["faults"].items() if s["outcome"] == "killed")
    entry["faults"][fault] = said | {"outcome": "survived"}
    assert record.table(kept) != before, name


def sample(folder: Path) -> tuple[list[str], list[str]]:
    """60 mutants by the recorded seed, those of one unit together: gone, and of other outcome."""
    kept = record.read_record()
    every = sorted((unit, fault) for unit, fault, *_ in record.mutants(kept))
    drawn = sorted(random.Random(kept["seed"]).sample(every, SAMPLE))
    gone, wrong = [], []
    for name in sorted({unit for unit, _ in drawn}):
        unit, own = UNITS[name], folder / name.replace("/", "-")
        own.mkdir()
        faults = {fault.id: fault for fault in unit.faults()}
        trial = unit.trial(own)
        for id_ in (fault for of, fault in drawn if of == name):
            if id_ not in faults:
                gone.append(id_)
                continue
            outcome, why = trial.outcome(faults[id_])
            recorded = kept["units"][name]["faults"][id_]["outcome"]
            if outcome.caught != Outcome(recorded).caught:
                wrong.append(f"{name} {id_}: {outcome}, {why}; recorded: {recorded}")
    return gone, wrong


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_a_sample_has_the_recorded_outcome(tmp_path: Path) -> None:
    """In a process of its own: a trial of a module imports edgeq and its tests anew."""
    code = (
        "import json, sys; from pathlib import Path; from tests.mutation.test_record import sample;"
        "Path(sys.argv[2]).write_text(json.dumps(sample(Path(sys.argv[1]))))"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    (tmp_path / "units").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "units"), str(tmp_path / "said.json")],
        cwd=record.ROOT,
        env=environment | {"EDGEQ_EXAMPLES": "10"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    gone, wrong = json.loads((tmp_path / "said.json").read_text())
    assert not wrong
    assert len(gone) <= SAMPLE // 4, "the code has moved on: run python -m tests.mutation"
