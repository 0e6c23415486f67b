"""ESC-10 from raw sound on the device: the host sends 16-bit samples, and nothing else.

python examples/esc10/raw.py --data DIR --out build/esc10_raw [--train --store] [--write-table]
python examples/esc10/raw.py --stream [--write-table]     # as a step of 256 ms

The stored network is put behind its front end, exported for two boards, and hears every clip of
fold 5 on the virtual board, in memory; a seeded few go over the link, too. Beside it the same
network on features that the host computes in floats.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ears
import esc10
import numpy as np
import numpy.typing as npt
import raw_table
import train
from features import Clips, load_sound

import edgeq
from edgeq import nn, pipeline
from edgeq.arrays import channels_last
from edgeq.board import load_board
from edgeq.emit.firmware import layer_table
from edgeq.errors import BadInput, EdgeqError
from edgeq.estimating.in_memory import InMemory
from edgeq.export_folder import GRAPH
from edgeq.firmware_project import FirmwareProject
from edgeq.ir import Graph
from edgeq.passes.stored_graph import stored_graph
from edgeq.reference import quantize_rows
from edgeq.reference import run as reference
from edgeq.reporting.markdown import write_table
from edgeq.sources import Trained as Source
from edgeq.toolchain import build, find_compiler, with_board

HERE = Path(__file__).parent
STORED = HERE / "raw.pt"  # from features, so that no sound is stored; .json: how it was made
BOARDS = EMULATED, SILICON = "virtual_m4", "nucleo_l4r5zi"
STREAM_BOARD, HOP = "nucleo_f446re", "hop=256ms"  # its RAM holds no clip
LINKED_CLIPS = 3

Integers = npt.NDArray[np.int64]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Network, exports, and fold 5 heard three ways."""
    data = esc10.data_folder(options.data)
    test = load_sound(data, train.TEST_FOLD, options.clips)
    options.out.mkdir(parents=True, exist_ok=True)
    net, facts = obtain(data, options)
    model_file = saved(net, data, facts, options.out)
    exports = {}
    for board in BOARDS:
        esc10.say(f"exporting for {board}")
        folder = options.out / board
        exports[board] = pipeline.export(model_file, board, folder, compiler=options.compiler)
    folder = options.out / EMULATED
    heard = in_memory(folder, test, options.compiler)
    linked = over_the_link(folder, test, options)
    answered = {
        "host_features": answers(integers(net), ears.as_heard(test).x),
        "reference": answers(stored_graph(folder / GRAPH), test.x),
    }
    return {
        "training": facts,
        "clips": list(test.names),
        "labels": test.y.tolist(),
        "answers": {**{k: v.tolist() for k, v in answered.items()}, "board": heard["answers"]},
        "differ_from_the_reference": heard["differ"],
        "cycles": {b: split(exports[b]) for b in BOARDS},
        "clip_cycles": heard["cycles"],
        "exports": exports,
        "linked": linked,
    }


def stream(options: argparse.Namespace) -> dict[str, Any]:
    """The stored network as one step of a stream, whose deadline its export proves."""
    data = esc10.data_folder(options.data)
    options.out.mkdir(parents=True, exist_ok=True)
    net, facts = obtain(data, options)
    esc10.say(f"exporting a step of {HOP} for {STREAM_BOARD}")
    model_file, how = saved(net, data, facts, options.out), {"stream": HOP, "lookahead": True}
    folder = options.out / f"{STREAM_BOARD}_stream"
    return pipeline.export(model_file, STREAM_BOARD, folder, compiler=options.compiler, **how)


def saved(net: nn.Model, data: Path, facts: dict[str, Any], out: Path) -> Path:
    """The network behind its front end, as a model file."""
    place = out / "raw.pt"
    edgeq.save(ears.hearing(net, calibration(data, facts)), place)
    return place


def obtain(data: Path, options: argparse.Namespace) -> tuple[nn.Model, dict[str, Any]]:
    """The network from features, trained now or the stored one, and how it was made."""
    if not options.train:
        return nn.load(STORED), json.loads(STORED.with_suffix(".json").read_text())
    esc10.say(f"training on folds 1 to 4 (seed {options.seed})")
    trained = ears.train_ears(ears.as_heard(load_sound(data)), options.seed)
    if options.store:
        edgeq.save(trained.model, STORED)
        STORED.with_suffix(".json").write_text(json.dumps(trained.facts, indent=2) + "\n")
    return trained.model, trained.facts


def calibration(data: Path, facts: dict[str, Any]) -> npt.NDArray[np.float32]:
    """The sound of the clips that the network was calibrated on."""
    clips = load_sound(data)
    keep = np.isin(clips.names, facts["calibration_clips"])
    if keep.sum() != len(facts["calibration_clips"]):
        raise BadInput(f"{data} lacks clips that {STORED.name} was calibrated on")
    return clips.x[keep]


def integers(net: nn.Model) -> Graph:
    """The network that reads the host's features, as an export makes it."""
    source = Source("", net)
    return source.quantized(source.rows(None), "mse", frozenset(), None).graph


def answers(graph: Graph, x: npt.NDArray[np.float32]) -> Integers:
    """The reference's class of each row."""
    rows = (quantize_rows(graph, channels_last(row[None])) for row in x)
    return np.array([reference(graph, row).output[0].argmax() for row in rows])


def in_memory(folder: Path, test: Clips, compiler: str) -> dict[str, Any]:
    """Every clip on the virtual board, whose firmware finds the samples in its memory."""
    board, graph = load_board(EMULATED), stored_graph(folder / GRAPH)
    project = with_board(FirmwareProject.read(folder / "firmware"), board)
    elf = build(project, board, find_compiler(compiler), folder / "build").elf
    twin = InMemory(board, elf, graph, layer_table(graph))
    made, cycles, differ = [], [], 0
    for i, clip in enumerate(test.x):
        esc10.say(f"clip {i + 1} of {len(test.y)} on {EMULATED}")
        row = quantize_rows(graph, channels_last(clip[None]))
        result = twin.infer(row[0])
        differ += not np.array_equal(result.output, reference(graph, row).output[0])
        made.append(int(result.output.argmax()))
        cycles.append(result.cycles)
    return {"answers": made, "cycles": sorted(set(cycles)), "differ": differ}


def over_the_link(folder: Path, test: Clips, options: argparse.Namespace) -> dict[str, Any]:
    """A seeded few of the clips, sent as `edgeq profile` sends them."""
    rng = np.random.default_rng(options.seed)
    few = np.sort(rng.permutation(len(test.y))[:LINKED_CLIPS])
    place = options.out / "few.npz"
    np.savez(place, x=test.x[few], y=test.y[few])
    _, profile = esc10.measure(folder, place, options.compiler, len(few))
    kept = "samples", "mismatches", "board", "compiler", "flags", "clock_hz", "latency"
    return {"clips": [test.names[i] for i in few], **{key: profile[key] for key in kept}}


def split(export: dict[str, Any]) -> dict[str, int]:
    """Modelled cycles of the front end, and of all else."""
    front = sum(layer["cycles"] for layer in export["layers"] if layer["op"] == "log_mel")
    whole = export["estimate"]["worst"]["cycles"]
    return {"front_end": front, "network": whole - front}


def parser() -> argparse.ArgumentParser:
    """The options of this script."""
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("--data", type=Path, help="folder with esc50.csv and audio/")
    made.add_argument("--out", type=Path, default=Path("build/esc10_raw"))
    made.add_argument("--compiler", choices=("auto", "gcc", "zig"), default="auto")
    made.add_argument("--clips", type=int, help="hear only this many clips of fold 5")
    made.add_argument("--seed", type=int, default=train.SEED)
    made.add_argument("--train", action="store_true", help=f"instead of taking {STORED.name}")
    made.add_argument("--store", action="store_true", help="keep what was trained here")
    made.add_argument("--stream", action="store_true", help="only as a step of a stream")
    made.add_argument("--write-table", action="store_true", help="write the table of README.md")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs everything; returns edgeq's exit code."""
    options = parser().parse_args(argv)
    try:
        if options.clips is not None and options.clips < 1:
            raise BadInput(f"--clips is {options.clips}; give at least 1")
        if options.stream:
            told = raw_table.with_stream(raw_table.stored(), stream(options))
        else:
            told = raw_table.told(run(options))
        if options.write_table:
            raw_table.keep(told)
            write_table(HERE / "README.md", raw_table.markdown(told), raw_table.NAME)
        print(raw_table.markdown(told))
    except EdgeqError as error:
        esc10.say(str(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
