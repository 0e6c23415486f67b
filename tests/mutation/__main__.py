"""Plants faults into kernels and emitters and records which the tests catch.

python -m tests.mutation            every unit that has changed since it was recorded
python -m tests.mutation UNIT ...   these units again: names of kernels, or files of edgeq
python -m tests.mutation --table    only writes the table of docs/testing.md
"""

import argparse
import resource
import tempfile
from pathlib import Path

from edgeq.toolchain import find_compiler
from tests.mutation import record
from tests.mutation.outcome import Outcome
from tests.mutation.units import UNITS, plant


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("units", nargs="*", metavar="UNIT")
    parser.add_argument("--table", action="store_true", help="write the table and nothing else")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--per-unit", type=int, default=12, help="mutants that run, of each unit")
    args = parser.parse_args()
    kept = record.read_record()
    if not args.table:
        _campaign(kept, args.units, args.seed, args.per_unit)
    record.write_page(kept)


def _campaign(kept: dict, wanted: list[str], seed: int, per_unit: int) -> None:
    settings = {"seed": seed, "per_unit": per_unit}
    if any(kept.get(key) != value for key, value in settings.items()):
        kept["units"] = {}
    kept |= settings | {"compilers": find_compiler("gcc").label}
    kept["units"] = {name: kept["units"][name] for name in UNITS if name in kept["units"]}
    for name in wanted or UNITS:
        digest = UNITS[name].digest()
        if not wanted and kept["units"].get(name, {}).get("digest") == digest:
            continue
        before = _cpu_seconds()
        with tempfile.TemporaryDirectory(prefix="edgeq-mutation-") as folder:
            faults = plant(UNITS[name], Path(folder), seed, per_unit, _known(kept, name))
        spent = _cpu_seconds() - before
        kept["units"][name] = {"digest": digest, "faults": faults}
        kept["commit"] = record.commit()
        record.write_record(kept)
        survived = [f for f, said in faults.items() if said["outcome"] == Outcome.SURVIVED]
        unlisted = [f for f in survived if f not in record.equivalents()]
        print(f"{name}: {len(faults)} faults, {spent / len(faults):.2f} CPU-s each", flush=True)
        for fault in unlisted:
            print(f"  survived: {fault}  {faults[fault]['shown']}", flush=True)


def _known(kept: dict, name: str) -> set[str]:
    """Equivalents that other units have: one in a shared header is recorded once."""
    others = {fault for unit, fault, *_ in record.mutants(kept) if unit != name}
    return others & set(record.equivalents())


def _cpu_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


main()
