"""Runs the campaign; resumes what was cut. docs/testing.md says what it looks for.

python -m tests.hostile                      every surface that is not recorded at this commit
python -m tests.hostile SURFACE ...          these surfaces
python -m tests.hostile --parser 600         the firmware's parser, so many seconds, all variants
python -m tests.hostile --sample             the recorded samples alone, of the code as it is
python -m tests.hostile --show SURFACE N     one case, its error in full
"""

import argparse
import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any

from tests.hostile import parser as firmware_parser
from tests.hostile import record
from tests.hostile.oracle import Outcome, Place, generator, run_cases
from tests.hostile.surfaces import SURFACES

STATE = record.ROOT / "build" / "hostile"
STEP = 500  # cases between two writes of the state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("surfaces", nargs="*", metavar="SURFACE")
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parser", type=int, metavar="SECONDS", help="fuzz the parser instead")
    parser.add_argument("--sample", action="store_true", help="the samples alone, of this code")
    parser.add_argument("--show", nargs=2, metavar=("SURFACE", "CASE"))
    args = parser.parse_args()
    if args.show:
        _show(args.show[0], args.seed, int(args.show[1]))
    elif args.parser:
        _fuzz(args.parser, args.seed)
    elif args.sample:
        _sample(args.surfaces or list(SURFACES))
    else:
        for name in args.surfaces or SURFACES:
            _surface(name, args.seed, args.cases)


def _surface(name: str, seed: int, cases: int) -> None:
    """All cases of a surface; each finished step is kept, and found again."""
    commit, state = record.commit(), STATE / f"{name}.json"
    kept = json.loads(state.read_text()) if state.is_file() else {}
    same = kept.get("commit") == commit and kept.get("seed") == seed
    done = [Outcome(*each) for each in kept["outcomes"]] if same else []
    STATE.mkdir(parents=True, exist_ok=True)
    for outcome in run_cases(SURFACES[name], seed, range(len(done), cases)):
        done.append(outcome)
        if outcome.fault:
            print(f"{name} {outcome.index}: {outcome.fault}", flush=True)
        if len(done) % STEP == 0:
            _keep(state, commit, seed, done)
    _keep(state, commit, seed, done)
    _merge("surfaces", name, record.entry(seed, done[:cases], commit))
    print(f"{name}: {record.read_record()['surfaces'][name]['outcomes']}", flush=True)


def _keep(state: Path, commit: str, seed: int, done: list[Outcome]) -> None:
    rows = [[o.index, o.result, o.fault, round(o.cpu_s, 5), o.memory_bytes] for o in done]
    fresh = state.with_suffix(".partial")
    fresh.write_text(json.dumps({"commit": commit, "seed": seed, "outcomes": rows}))
    fresh.rename(state)


def _merge(part: str, name: str, entry: dict[str, Any]) -> None:
    """Into the record, in the order of the surfaces; two runs at once lose nothing."""
    import fcntl

    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = record.read_record()
        kept[part][name] = entry
        record.write_record(kept)


def _sample(names: list[str]) -> None:
    """For a change that moves outcomes on purpose: counts stay those of the last whole run."""
    for name in names:
        entry = record.read_record()["surfaces"][name]
        indices = record.sampled(entry["cases"])
        ran = list(run_cases(SURFACES[name], entry["seed"], indices))
        faults = [f"{name} {o.index}: {o.fault}" for o in ran if o.fault]
        if faults:
            raise SystemExit("\n".join(faults))
        letters = "".join(record.letter(o.result) for o in ran)
        changed = sum(a != b for a, b in zip(letters, entry["sample"], strict=True))
        _merge("surfaces", name, entry | {"sample": letters})
        print(f"{name}: {changed} of {len(ran)} outcomes changed", flush=True)


def _fuzz(seconds: int, seed: int) -> None:
    """The time is shared: half to the build that most boards have."""
    shares = {"plain": 0.5, "energy": 0.25, "floats": 0.25}
    for variant, share in shares.items():
        folder = STATE / "parser"
        folder.mkdir(parents=True, exist_ok=True)
        spent = round(seconds * share)
        said = firmware_parser.fuzz(folder, variant, spent, seed)
        entry = {**said, "seconds": spent, "seed": seed, "commit": record.commit()}
        _merge("parser", variant, entry)
        print(f"parser {variant}: {said}", flush=True)


def _show(name: str, seed: int, index: int) -> None:
    """Runs a case in this process, without limits: its own traceback, its own files."""
    root = Path(tempfile.mkdtemp(prefix="edgeq-hostile-case-"))
    place = Place(*(root / part for part in ("case", "tmp", "cwd", "mark")))
    for folder in (place.case, *place.kept_empty()):
        folder.mkdir()
    base = SURFACES[name].prepare(place)
    case = SURFACES[name].case(generator(name, seed, index), base, place)
    print(f"files: {place.case}")
    os.chdir(place.cwd)
    print(repr(case()))


if __name__ == "__main__":
    random.seed(0)
    main()
