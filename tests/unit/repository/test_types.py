"""Where an argument or a result may be Any: named here, and nowhere else."""

import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[3]
RULE = "ANN401"


def test_any_stands_where_it_is_allowed_and_every_allowance_is_needed() -> None:
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", RULE]
    done = subprocess.run(
        [*ruff, "--output-format", "concise", "edgeq"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    found = {line.partition(":")[0] for line in done.stdout.splitlines() if RULE in line}
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert RULE in lint["select"]
    allowed = {
        pattern
        for pattern, rules in lint["per-file-ignores"].items()
        if RULE in rules and pattern.startswith("edgeq/")
    }
    assert not [file for file in found if not any(fnmatch(file, each) for each in allowed)]
    assert not [each for each in allowed if not any(fnmatch(file, each) for file in found)]
