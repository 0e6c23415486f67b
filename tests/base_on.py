"""The base install on the Python that runs this: PYTHON tests/base_on.py EXPORT.

Standard library alone: nothing but `pip install edgeq` is there. EXPORT is the folder of an export
for virtual_m4 with test rows. `python -m tests.install_sizes --pythons` asks each interpreter.
"""

import json
import platform
import subprocess
import sys
from typing import Any

BOARD, DEADLINE_S = "virtual_m4", 300


def edgeq(*words: str) -> Any:
    """What `edgeq WORDS --json` says; CalledProcessError when it fails."""
    command = [sys.executable, "-m", "edgeq", *words, "--json"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    return json.loads(run.stdout)


def tried(export: str) -> dict[str, Any]:
    """Help, the list of boards, then flash and profile on the virtual board."""
    command = [sys.executable, "-m", "edgeq", "--help"]
    subprocess.run(command, capture_output=True, timeout=DEADLINE_S, check=True)
    assert BOARD in {board["name"] for board in edgeq("boards")["boards"]}
    flashed = edgeq("flash", "--board", BOARD, "--firmware", export)
    try:
        profile = edgeq("profile", "--port", flashed["port"], "--firmware", export)
    finally:
        edgeq("stop", flashed["port"])
    return {
        "python": platform.python_version(),
        "samples": profile["samples"],
        "mismatches": profile["mismatches"],
    }


if __name__ == "__main__":
    print(json.dumps(tried(sys.argv[1])))
