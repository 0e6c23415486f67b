"""ESC-10 from sound files to the profile of a virtual board.

python examples/esc10/esc10.py --data DIR --out build/esc10
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import table
import train
from features import NEXT_STEP, load_clips

import edgeq
from edgeq import nn, pipeline
from edgeq.errors import BadInput, EdgeqError
from edgeq.reporting.markdown import macs, write_table

HERE = Path(__file__).parent
CHECKPOINT = HERE / "checkpoint.pt"
RECORD = HERE / "checkpoint.json"  # how the checkpoint was trained
BOARD, EMULATED = "nucleo_f446re", "virtual_m4"


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Features, training, export for the Nucleo, flash and profile of the virtual board."""
    data = data_folder(options.data)
    test = load_clips(data, options.out, train.TEST_FOLD, options.clips)
    options.out.mkdir(parents=True, exist_ok=True)
    model_file = options.out / "model.pt"
    record = obtain(data, options, model_file)
    np.savez(options.out / "fold5.npz", x=test.x, y=test.y)
    say("exporting")
    exported = options.out / BOARD  # one Cortex-M4 project: the emulated board runs it too
    fitted = pipeline.export(model_file, BOARD, exported, compiler=options.compiler)
    flashed, profile = measure(exported, options.out / "fold5.npz", options.compiler, len(test.y))
    results = {
        "training": record,
        "board": BOARD,
        "emulated_board": EMULATED,
        "export": fitted,
        "macs_per_clip": macs(fitted),
        "checks": fitted["checks"],
        "compiler": flashed["compiler"],
        "flags": flashed["flags"],
        "profile": profile,
    }
    (options.out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    return results


def obtain(data: Path, options: argparse.Namespace, model_file: Path) -> dict[str, Any]:
    """Writes the model to `model_file`: trained now, or the checkpoint's; says how it came."""
    if options.checkpoint:
        model_file.write_bytes(read_checkpoint(options.checkpoint))
        known = options.checkpoint.with_suffix(".json")
        record: dict[str, Any] = json.loads(known.read_text()) if known.is_file() else {}
        return record
    say(f"training on folds 1 to 4 (seed {options.seed})")
    trained = train.train(load_clips(data, options.out), options.seed)
    edgeq.save(trained.model, model_file)
    record = {"seed": options.seed, **train.describe(trained)}
    if options.store:
        CHECKPOINT.write_bytes(model_file.read_bytes())
        RECORD.write_text(json.dumps(record, indent=2) + "\n")
    return record


def read_checkpoint(path: Path) -> bytes:
    """The bytes of a model file, after a check that it is one for these features."""
    model = nn.load(path)
    if model.input_shape != train.SHAPE:
        raise BadInput(f"{path} takes {model.input_shape}, the features have shape {train.SHAPE}")
    return path.read_bytes()


def measure(
    exported: Path, data: Path, compiler: str, clips: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what flash says, what profile says) of the virtual board, which is stopped at the end."""
    say(f"building for {EMULATED} and running {clips} clips of fold {train.TEST_FOLD}")
    flashed = pipeline.flash(EMULATED, exported, compiler)
    try:
        return flashed, pipeline.profile(flashed["port"], exported, data)
    finally:
        with suppress(ProcessLookupError):
            os.kill(flashed["pid"], signal.SIGTERM)


def data_folder(given: Path | None) -> Path:
    """--data, or esc10 below the folder that the variable EDGEQ_DATA names."""
    if given is not None:
        return given
    if "EDGEQ_DATA" in os.environ:
        return Path(os.environ["EDGEQ_DATA"]) / "esc10"
    raise BadInput(f"no ESC-10 data set was named; {NEXT_STEP}")


def say(text: str) -> None:
    """Progress goes to standard error."""
    print(f"esc10: {text}", file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    """The options of this script."""
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("--data", type=Path, help="folder with esc50.csv and audio/")
    made.add_argument("--out", type=Path, default=Path("build/esc10"))
    made.add_argument("--compiler", choices=("auto", "gcc", "zig"), default="auto")
    made.add_argument("--clips", type=int, help="profile only this many clips of fold 5")
    made.add_argument("--seed", type=int, default=train.SEED)
    made.add_argument("--checkpoint", type=Path, help="take this model instead of training")
    made.add_argument("--store", action="store_true", help="keep the model as checkpoint.pt here")
    made.add_argument("--write-table", action="store_true", help="write the table of README.md")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs everything; returns edgeq's exit code."""
    options = parser().parse_args(argv)
    try:
        if options.clips is not None and options.clips < 1:
            raise BadInput(f"--clips is {options.clips}; give at least 1")
        results = run(options)
        if options.write_table:
            write_table(HERE / "README.md", table.markdown(results))
        print(table.markdown(results))
    except EdgeqError as error:
        say(str(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
