"""ESC-10 from sound files to the profile of a virtual board.

python examples/esc10/esc10.py --data DIR --out build/esc10              # the cascade
python examples/esc10/esc10.py --data DIR --out build/esc10 --mixture    # the benchmark
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

import cascade
import numpy as np
import single
import table
import train
from features import NEXT_STEP, Clips, load_clips

import edgeq
from edgeq import nn, pipeline
from edgeq.errors import BadInput, EdgeqError
from edgeq.reporting.markdown import macs, write_table

HERE = Path(__file__).parent
STORED = {"cascade": HERE / "cascade.pt", "mixture": HERE / "checkpoint.pt"}  # .json: how
PROMISE = {"max_disagreement": "2%", "confidence": "95%"}
BOARD, EMULATED = "nucleo_f446re", "virtual_m4"


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Features, training, export for the Nucleo, flash and profile of the virtual board."""
    data = data_folder(options.data)
    test = load_clips(data, options.out, train.TEST_FOLD, options.clips)
    options.out.mkdir(parents=True, exist_ok=True)
    model_file = options.out / "model.pt"
    record = obtain(data, options, model_file)
    np.savez(options.out / "fold5.npz", x=test.x, y=test.y, groups=test.source)
    cascaded = "held_clips" in record
    refused = refusal(data, options, model_file, record) if cascaded else None
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
        "promise": None if refused is None else {**PROMISE, "refused": refused},
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
    clips = load_clips(data, options.out)
    if options.mixture:
        trained = train.train(clips, options.seed)
        model, record = trained.model, {"seed": options.seed, **train.describe(trained)}
    else:
        made = cascade.train_cascade(clips, options.seed)
        model, record = made.model, made.facts
    edgeq.save(model, model_file)
    if options.store:
        stored = STORED["mixture" if options.mixture else "cascade"]
        stored.write_bytes(model_file.read_bytes())
        stored.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")
    return record


def refusal(
    data: Path, options: argparse.Namespace, model_file: Path, record: dict[str, Any]
) -> str:
    """What an export says to a promise on the clips that no training saw: they are too few."""
    clips = load_clips(data, options.out)
    held = held_out(clips, record["seed"])
    place = options.out / "held.npz"
    np.savez(place, x=held.x, y=held.y, groups=held.source)
    shown = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in PROMISE.items())
    say(f"asking for {shown} on {len(held.y)} clips that no training saw")
    try:
        pipeline.export(model_file, BOARD, options.out / "no", threshold_data=place, **PROMISE)
    except BadInput as error:
        return str(error).replace(str(place), place.name)
    raise BadInput(f"{place} was enough for a promise; the text of this example says otherwise")


def held_out(clips: Clips, seed: int) -> Clips:
    """The clips of folds 1 to 4 that the cascade's training did not see."""
    return single.parts(clips, train.TEST_FOLD, seed)[1]


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
    made.add_argument("--mixture", action="store_true", help="train the mixture, not the cascade")
    made.add_argument(
        "--store", action="store_true", help="keep the model here, and how it was made"
    )
    made.add_argument("--write-table", action="store_true", help="write the table of README.md")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs everything; returns edgeq's exit code."""
    options = parser().parse_args(argv)
    try:
        if options.clips is not None and options.clips < 1:
            raise BadInput(f"--clips is {options.clips}; give at least 1")
        results = run(options)
        told = table.told(results)
        if options.write_table:
            write_table(HERE / "README.md", table.markdown(told), told["name"])
            table.keep(told)
        print(table.markdown(told))
    except EdgeqError as error:
        say(str(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
