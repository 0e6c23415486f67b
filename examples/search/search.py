"""30 trials by two processes on each storage, one worker killed: what is lost, and what is found.

    python examples/search/search.py --json examples/search/search.json --write-table

SQLite, a PostgreSQL server and Optuna's gRPC proxy (both started here). After the fifth trial one
worker gets SIGKILL. Goes on where it was cut: a storage that the file holds is not run again.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import edgeq  # noqa: E402
from edgeq.reporting.markdown import write_table  # noqa: E402
from tests.unit.searching.servers import grpc_proxy, postgresql  # noqa: E402

BOARD, TRIALS, WORKERS, KILL_AFTER, SEED = "rpi_pico", 30, 2, 5, 0
CAPS = {"max_latency": "20ms", "max_flash": "64KB"}
SPACE = Path(__file__).with_name("digits_space.py")


@contextlib.contextmanager
def storage(name: str, folder: Path) -> Iterator[str]:
    """The URL of one of the three."""
    if name == "sqlite":
        yield f"sqlite:///{folder / 'all.db'}"
    elif name == "postgresql":
        with postgresql() as url:
            yield url
    else:
        with grpc_proxy(f"sqlite:///{folder / 'behind.db'}") as url:
            yield url


class Killer:
    """Kills one worker when enough trials are done and, as none has just ended, each has one."""

    def __init__(self) -> None:
        self.killed: int | None = None
        self.before = 0

    def __call__(self, done: int, _all: int, _name: str) -> None:
        running, self.before = done == self.before, done
        if self.killed is None and running and done >= KILL_AFTER:
            workers = [
                p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())
            ]
            self.killed = workers[0].pid
            os.kill(self.killed, signal.SIGKILL)


def searched(name: str) -> dict[str, Any]:
    """One storage: counts, the best trial, and its export."""
    with tempfile.TemporaryDirectory() as held:
        folder, killer, start = Path(held), Killer(), time.monotonic()
        with storage(name, folder) as url:
            result = edgeq.search(
                SPACE,
                BOARD,
                trials=TRIALS,
                workers=WORKERS,
                storage=url,
                seed=SEED,
                run=folder / "run",
                watch=killer,
                tell=lambda line: print(line, flush=True),
                **CAPS,
            )
        report = edgeq.export(result["best_model"], BOARD, folder / "export")
        model = edgeq.load(result["best_model"])
        x, y = model.evaluation
        test = float(np.mean(model.predict(x)[0].argmax(1) == y))
        best = {k: v for k, v in result["best"].items() if k not in ("worker", "model", "seconds")}
        return {
            "storage": name,
            "complete": result["complete"],
            "pruned": result["pruned"],
            "failed": result["failed"],
            "killed": killer.killed is not None,
            "workers": len({t["worker"] for t in result["trials"] if t["worker"]}),
            "best": best,
            "test_accuracy": test,
            "export": {
                "flash_bytes": report["flash_bytes"],
                "ram_bytes": report["ram_bytes"],
                "cycles": report["estimate"]["worst"]["cycles"],
                "proofs": {check["name"]: check["passed"] for check in report["checks"]},
            },
            "seconds": round(time.monotonic() - start),
        }


def table(data: dict[str, Any]) -> str:
    """Markdown of the JSON."""
    lines = [
        "| storage | complete | pruned | lost | best: validation, test | ms | flash B | proofs |",
        "|---|---:|---:|---:|---|---:|---:|---|",
    ]
    for run in data["runs"]:
        best, proofs = run["best"], run["export"]["proofs"]
        lines.append(
            f"| {run['storage']} | {run['complete']} | {run['pruned']} | {run['failed']} "
            f"| {best['accuracy']:.1%}, {run['test_accuracy']:.1%} | {1e3 * best['latency_s']:.3g} "
            f"| {run['export']['flash_bytes']:,} | {sum(proofs.values())} of {len(proofs)} pass |"
        )
    return "\n".join(
        [
            *lines,
            "",
            f"{data['trials']} trials by {data['workers']} processes on "
            f"`{data['board']}`, one killed in each; seed {data['seed']}, commit "
            f"{data['commit']}; costs modelled.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, default=Path(__file__).with_name("search.json"))
    parser.add_argument("--storage", nargs="*", default=["sqlite", "postgresql", "grpc"])
    parser.add_argument("--write-table", action="store_true")
    given = parser.parse_args()
    commit = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    data = {"board": BOARD, "trials": TRIALS, "workers": WORKERS, "seed": SEED, "caps": CAPS}
    runs = json.loads(given.json.read_text())["runs"] if given.json.exists() else []
    for name in given.storage:
        if name not in [run["storage"] for run in runs]:
            runs.append(searched(name))
            whole = {**data, "commit": commit, "runs": runs}
            given.json.write_text(json.dumps(whole, indent=2) + "\n")
    if given.write_table:
        write_table(
            Path(__file__).with_name("README.md"), table(json.loads(given.json.read_text()))
        )


if __name__ == "__main__":
    main()
