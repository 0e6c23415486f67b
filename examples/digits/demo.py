"""The whole line on one small data set: train, export, build, start the virtual board, profile.

    python examples/digits/demo.py --out build/demo

Leaves model.pt, export/ (ONNX, TFLite, C firmware), export.json, profile.json and report.html in
the folder. Needs no hardware and no compiler but the `ziglang` wheel.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from edgeq.reporting.gain_chart import gain_chart
from edgeq.reporting.markdown import profile_rows, size_rows, write_table
from edgeq.reporting.run_table import keep_table, run_markdown, run_table

HERE = Path(__file__).parent
RUN = HERE / "demo_run.json"  # what the table of README.md is made of
SEED = 0  # of train.py
TIMEOUT_S = 600
EDGEQ = (sys.executable, "-m", "edgeq")
REPORTS = ("report.html", "profile.txt")


def run(command: list[str]) -> None:
    """Shows a command as a user would type it, runs it, and stops the demo when it fails."""
    print(f"\n$ {shown(command)}", flush=True)
    done = subprocess.run(command, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def ask(command: list[str]) -> dict[str, Any]:
    """The JSON object that an edgeq command prints with --json; progress stays on the screen."""
    print(f"\n$ {shown(command)}", flush=True)
    done = subprocess.run(
        [*command, "--json"], stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode:
        sys.exit(done.returncode)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def shown(command: list[str]) -> str:
    """The command without this machine's path of Python."""
    plain = ["edgeq", *command[3:]] if tuple(command[:3]) == EDGEQ else ["python", *command[1:]]
    return shlex.join(plain)


def save(folder: Path, name: str, answer: dict[str, Any]) -> None:
    """Writes an answer to folder/name."""
    (folder / name).write_text(json.dumps(answer, indent=2) + "\n")


def demo(out: Path, board: str, compiler: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The line, step by step, as the README tells it; (export.json, profile.json)."""
    out.mkdir(parents=True, exist_ok=True)
    model, folder = out / "model.pt", out / "export"
    run([sys.executable, str(HERE / "train.py"), "--out", str(model)])
    command = [*EDGEQ, "export", str(model), "--target", board, "--out", str(folder)]
    exported = ask([*command, "--compiler", compiler])
    save(out, "export.json", exported)
    print((folder / "report.txt").read_text())
    where = ["--firmware", str(folder)]
    started = ask([*EDGEQ, "flash", "--board", board, *where, "--compiler", compiler])
    print(f"{board} runs the firmware; its serial port is {started['port']}")
    try:
        profiled = ask([*EDGEQ, "profile", "--port", str(started["port"]), *where])
    finally:
        ask([*EDGEQ, "stop", str(started["port"])])
    save(out, "profile.json", profiled)
    for name in REPORTS:
        if (folder / name).is_file():  # the page is drawn where the extra `examples` is installed
            shutil.copyfile(folder / name, out / name)
            print(f"report: {out / name}")
    print((out / "profile.txt").read_text())
    print(gain_chart(profiled["alone"]))
    return exported, profiled


def main() -> None:
    """`python demo.py [--out DIR] [--board virtual_m4] [--compiler auto] [--write-table]`"""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/demo"))
    parser.add_argument("--board", default="virtual_m4", help="an emulated board")
    parser.add_argument("--compiler", default="auto", choices=("auto", "gcc", "zig"))
    parser.add_argument("--write-table", action="store_true", help="write the table of README.md")
    options = parser.parse_args()
    exported, profiled = demo(options.out, options.board, options.compiler)
    if options.write_table:
        rows = [*profile_rows(profiled), *size_rows(exported)]
        made = run_table(rows, profiled, "the cascade", HERE, SEED)
        write_table(HERE / "README.md", run_markdown(made))
        keep_table(made, RUN)


if __name__ == "__main__":
    main()
