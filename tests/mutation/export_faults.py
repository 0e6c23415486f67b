"""Plants faults, drawn by seed, into the kernels that an export uses, and exports.

python -m tests.mutation.export_faults            what is missing of FAULTS faults a compiler
python -m tests.mutation.export_faults --table    only writes the table of docs/proofs.md

The record keeps every fault with the exit code of the export: 6 is a proof that failed, 7 a
compiler that refused. It is written after each fault, so that a run that was cut goes on.
export_equivalents.toml lists those that change no answer; another is drawn for each.
"""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import edgeq
from edgeq import nn, pipeline
from edgeq.board import load_board
from edgeq.emit import firmware
from edgeq.errors import EdgeqError
from edgeq.export_folder import read_project
from edgeq.kernels import kernel_named
from edgeq.resources import templates_dir
from edgeq.toolchain import build, find_compiler, with_board
from tests.mutation.draw import in_turns
from tests.mutation.fault import Fault
from tests.mutation.kernel_trial import kernel_faults, kernel_texts
from tests.mutation.record import ROOT, commit

RECORD = ROOT / "docs" / "measured" / "export_faults.json"
PAGE = ROOT / "docs" / "proofs.md"
EQUIVALENTS = Path(__file__).with_name("export_equivalents.toml")
START = "<!-- table export_faults: start, written by a script -->"
END = "<!-- table export_faults: end -->"
COMPILERS, FAULTS, SEED, BOARD = ("gcc", "zig"), 15, 1, "virtual_m4"
SAME_CODE, CRASHED = "same code", 70


def features_model() -> nn.Model:
    """A mixture of all widths a paper's expert has; odd sizes, so that no loop ends evenly."""
    kinds = ("ternary", "int4", "int8")
    experts = [
        nn.Sequential(nn.Linear(75, 37, k), nn.LayerNorm(37), nn.ReLU(), nn.Linear(37, 11, k))
        for k in kinds
    ]
    router = nn.BayesianRouter(75, 3, hidden=(13, 9), passes=6)
    return nn.Model(nn.Mixture(experts, router, kinds), (75,), name="features")


def map_model() -> nn.Model:
    """Convolutions of every make, pools, a sum and probabilities, on odd maps."""

    def deep(size: int, stride: int = 1, kind: str = "int8") -> nn.Conv2d:
        return nn.Conv2d(6, 6, size, kind, stride, size // 2, groups=6)

    body = nn.Sequential(
        nn.Conv2d(3, 6, 3, "int4", padding=1), nn.ReLU(),
        nn.Residual(nn.Sequential(deep(3), nn.ReLU(), nn.Conv2d(6, 6, 1))),
        deep(5), nn.ReLU(), deep(3, 2, "int4"), nn.Conv2d(6, 9, 1, "int4"), nn.ReLU(),
        nn.Conv2d(9, 7, 3, "int8", padding=1), nn.ReLU(), nn.MaxPool2d(3, 1, 1),
        nn.Conv2d(7, 7, 2, "ternary"), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(7 * 2 * 2, 5), nn.Softmax(),
    )  # fmt: skip
    return nn.Model(body, (3, 11, 11), name="maps")


def small_map_model() -> nn.Model:
    """Shapes that take the other ways through the kernels."""
    block = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.ReLU(), nn.Conv2d(6, 6, 1))
    body = nn.Sequential(
        nn.Conv2d(3, 6, 3, "int4", padding=1), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Residual(block),
        nn.Conv2d(6, 7, 2, "ternary"), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(7 * 2 * 2, 5), nn.Softmax(),
    )  # fmt: skip
    return nn.Model(body, (3, 11, 11), name="small_maps")


def even_map_model() -> nn.Model:
    """Channels in fours, whose rows the convolutions gather in another way, at every width."""
    body = nn.Sequential(
        nn.Conv2d(4, 8, 3, "int8", padding=1), nn.ReLU(),
        nn.Conv2d(8, 8, 3, "ternary", padding=1), nn.ReLU(),
        nn.Conv2d(8, 8, 3, "ternary", 2, padding=1), nn.ReLU(),
        nn.Conv2d(8, 4, 3, "int4", 2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 3 * 3, 4),
    )  # fmt: skip
    return nn.Model(body, (4, 11, 11), name="even_maps")


def wide_model() -> nn.Model:
    """Sums of few products, so that channels have scales of a half and more, and windows without
    padding, whose maps are gathered in several parts.
    """
    ternary = nn.Conv2d(6, 8, 1, "ternary")
    body = nn.Sequential(
        nn.Conv2d(2, 6, 1), nn.ReLU(), ternary, nn.ReLU(),
        nn.Conv2d(8, 8, 5, groups=8), nn.ReLU(), nn.Conv2d(8, 9, 2, "ternary", 2), nn.ReLU(),
        nn.Conv2d(9, 9, (2, 5), "int4", (1, 2), groups=9), nn.ReLU(),
        nn.Conv2d(9, 6, 1, "int4"), nn.Flatten(), nn.Linear(6 * 8 * 3, 3, "ternary"),
    )  # fmt: skip
    with torch.no_grad():  # one product a sum in two channels
        ternary.weight[2:4] *= torch.eye(6)[2:4, :, None, None]
        ternary.weight[2:4] += 2.0 * torch.eye(6)[2:4, :, None, None]
        body[0].weight[1] *= torch.tensor([3.0, 0.0])[:, None, None]
    return nn.Model(body, (2, 22, 22), name="wide")


def long_model() -> nn.Model:
    """Rows longer than what the kernels hold at once, in every width."""
    body = nn.Sequential(
        nn.Linear(1200, 21, "int4"), nn.ReLU(), nn.Linear(21, 1100, "ternary"), nn.ReLU(),
        nn.Linear(1100, 19), nn.ReLU(), nn.Linear(19, 600, "int4"), nn.ReLU(),
        nn.Linear(600, 13, "ternary"), nn.ReLU(), nn.Linear(13, 3),
    )  # fmt: skip
    return nn.Model(body, (1200,), name="long")


MODELS = {
    "features": features_model,
    "maps": map_model,
    "small maps": small_map_model,
    "even maps": even_map_model,
    "wide": wide_model,
    "long": long_model,
}


def save(name: str, path: Path) -> None:
    """The model with ranges that have followed its rows."""
    torch.manual_seed(3)
    model = MODELS[name]()
    shape = model.input_shape
    x = np.random.default_rng(3).normal(size=(60, *shape)).astype(np.float32)
    model.train()
    with torch.no_grad():
        for _ in range(30):
            model(torch.from_numpy(x))
    model.calibrate(x)
    edgeq.save(model, path)


def drawn(kernels: set[str]) -> Iterator[Fault]:
    """Faults in what these kernels need, by seed, all kinds in turn."""
    texts = kernel_texts()
    found = {f.id: f for k in sorted(kernels) for f in kernel_faults(kernel_named(k), texts)}
    return in_turns(list(found.values()), f"{SEED}/export")


def exported(fault: Fault | None, model: Path, compiler: str, out: Path) -> tuple[int, str]:
    """Exit code and words of the export in a process of its own, the fault in its kernels."""
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            os._exit(_export(fault, model, compiler, out, said.fileno()))
        _, status = os.waitpid(child, 0)
        said.seek(0)
        words = said.read(4000).decode(errors="replace").splitlines() or [""]
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
    return code, words[0][:160]


def _export(fault: Fault | None, model: Path, compiler: str, out: Path, said: int) -> int:
    try:
        copy = out.with_suffix(".templates")
        shutil.copytree(templates_dir(), copy)
        if fault is not None:
            source = copy / "kernels" / fault.file
            source.write_text(fault.apply(source.read_text(encoding="utf-8")), encoding="utf-8")
        firmware.templates_dir = lambda: copy  # type: ignore[assignment]
        # the models are not trained: their own proof is no matter here
        pipeline.export(model, BOARD, out, compiler=compiler, accept_mismatch=True)
    except EdgeqError as error:
        os.write(said, str(error).encode()[:4000])
        return error.exit_code
    except BaseException as error:
        os.write(said, f"{type(error).__name__}: {error}".encode()[:4000])
        return CRASHED
    return 0


def objects(export: Path, compiler: str, folder: Path) -> dict[str, bytes]:
    """The compiled kernels of an export, by name."""
    board = load_board(BOARD)
    found = find_compiler(compiler)  # type: ignore[arg-type]
    build(with_board(read_project(export), board), board, found, folder)
    return {p.name: p.read_bytes() for p in sorted((folder / "objects").glob("kernels__*"))}


def judged(fault: Fault, model: str, compiler: str, folder: Path) -> dict[str, Any]:
    """The record of one fault. An export that succeeds may be of the very same code."""
    path, out = folder / f"{model}.pt", folder / "faulty"
    for stale in (out, out.with_suffix(".templates")):
        shutil.rmtree(stale, ignore_errors=True)
    code, words = exported(fault, path, compiler, out)
    if code == 0:
        sound = objects(folder / f"sound-{model}", compiler, folder / "a")
        if objects(out, compiler, folder / "b") == sound:
            words = SAME_CODE
    shown = fault.shown(kernel_texts()[fault.file])[:240]
    return {"kind": fault.edit.kind, "model": model, "exit": code, "said": words, "shown": shown}


def campaign(record: dict[str, Any], count: int) -> None:
    """Adds what `record` lacks of `count` faults a compiler; writes it after each."""
    with tempfile.TemporaryDirectory(prefix="edgeq-export-faults-") as scratch:
        folder, uses = Path(scratch), dict[str, set[str]]()
        for name in MODELS:
            save(name, folder / f"{name}.pt")
            code, words = exported(None, folder / f"{name}.pt", "auto", folder / f"sound-{name}")
            if code:
                sys.exit(f"the sound export of {name} ends with {code}: {words}")
            report = json.loads((folder / f"sound-{name}" / "export.json").read_text())
            uses[name] = {layer["kernel"] for layer in report["layers"] if layer["kernel"]}
        record["kernels"] = {name: sorted(used) for name, used in uses.items()}
        for compiler in COMPILERS:
            one_compiler(record, compiler, count, uses, folder)


def one_compiler(
    record: dict[str, Any], compiler: str, count: int, uses: dict[str, set[str]], folder: Path
) -> None:
    kept, same = record["compilers"].setdefault(compiler, {}), equivalents()
    for fault in drawn(set().union(*uses.values())):
        if len(planted(kept, same)) >= count:
            return
        if fault.id in kept:
            continue
        tried = [m for m in MODELS if any(fault.file in files_of(k) for k in uses[m])]
        for model in tried:  # a header serves both: the one that runs the line tells
            kept[fault.id] = one = judged(fault, model, compiler, folder)
            if one["exit"]:
                break
        record["commit"] = commit()
        write(record)
        print(f"{compiler} {one['exit']} {fault.id} {one['shown']} | {one['said']}", flush=True)


def equivalents() -> dict[str, str]:
    """Why a fault changes no answer, by id."""
    listed = tomllib.loads(EQUIVALENTS.read_text(encoding="utf-8"))
    return {fault: group["reason"] for group in listed["group"] for fault in group["faults"]}


def planted(
    kept: Mapping[str, Mapping[str, Any]], same: Collection[str]
) -> dict[str, Mapping[str, Any]]:
    """What counts: neither of the same code nor listed as an equivalent."""
    return {f: one for f, one in kept.items() if not without_effect(one) and f not in same}


def without_effect(one: Mapping[str, Any]) -> bool:
    """Whether the compiler made the same code of it, so that nothing was planted."""
    return bool(one["exit"] == 0 and one["said"] == SAME_CODE)


def files_of(kernel: str) -> set[str]:
    row = kernel_named(kernel)
    return {*row.sources, *row.headers}


def read() -> dict[str, Any]:
    """The record; an empty one where there is none or it is of another seed."""
    empty: dict[str, Any] = {"seed": SEED, "board": BOARD, "compilers": {}}
    if not RECORD.is_file():
        return empty
    kept = dict(json.loads(RECORD.read_text(encoding="utf-8")))
    return kept if kept["seed"] == SEED else empty


def write(record: Mapping[str, Any]) -> None:
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    partial = RECORD.with_suffix(".partial")
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False)
    partial.write_text(text + "\n", encoding="utf-8")
    partial.rename(RECORD)


def table(record: Mapping[str, Any]) -> str:
    """What stands between the markers of docs/proofs.md."""
    rows = ["| compiler | faults | exit 6 | refused by the compiler (7) | export went on |"]
    rows.append("|---|---|---|---|---|")
    same, went_on, alike = equivalents(), list[str](), dict[str, str]()
    for compiler, faults in record["compilers"].items():
        ran = planted(faults, same)
        codes = Counter(one["exit"] for one in ran.values())
        rest = {fault: one for fault, one in ran.items() if one["exit"] not in (6, 7)}
        rows.append(f"| {compiler} | {len(ran)} | {codes[6]} | {codes[7]} | {len(rest)} |")
        went_on += [f"- went on ({compiler}): {_shown(*each)}" for each in rest.items()]
        drawn = {fault: one for fault, one in faults.items() if fault in same}
        alike |= {f: f"- changes nothing: {_shown(f, one)}: {same[f]}" for f, one in drawn.items()}
    where = f"Measured at commit {record['commit']}, seed {record['seed']}, `{record['board']}`."
    again = "Drawn, of no effect by reading, another drawn for each:" if alike else ""
    parts = [START, *rows, "", *went_on, again, *alike.values(), "", where, END]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts))


def _shown(fault: str, one: Mapping[str, Any]) -> str:
    return f"`{' '.join(one['shown'].split())}` in {fault.split(':')[0]}"


def write_page(record: Mapping[str, Any]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    start, end = text.index(START), text.index(END) + len(END)
    PAGE.write_text(text[:start] + table(record) + text[end:], encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--table", action="store_true", help="write the table and nothing else")
    parser.add_argument("--faults", type=int, default=FAULTS, help="of each compiler")
    args = parser.parse_args()
    torch.set_num_threads(1)
    record = read()
    if not args.table:
        campaign(record, args.faults)
    write_page(record)


if __name__ == "__main__":
    main()
