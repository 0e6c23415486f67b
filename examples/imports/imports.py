"""Well-known networks, unmodified, from PyTorch and from ONNX to C; the table in docs/import.md.

    python examples/imports/imports.py              # measures what imports.json lacks, resumes
    python examples/imports/imports.py --write-table

Weights are random by a recorded seed, BatchNorm's statistics run in. Each network is quantised
after training; the integer reference and the C of the firmware, built for this computer, must give
the same bytes; both are held to the float module. A refusal is a row with its reason.
"""

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nets import NETS, TORCHVISION
from torch import Tensor, nn

import edgeq
from edgeq.arrays import model_rows
from edgeq.compiled import compile_graph
from edgeq.errors import EdgeqError
from edgeq.files import scratch_folder, write_file
from edgeq.frontend.torch_loader import graph_of
from edgeq.passes import quantize
from edgeq.passes.ranges import choose_quant
from edgeq.prove.firmware import compare
from edgeq.prove.host import host_runner
from edgeq.prove.trials import trials
from edgeq.reference import quantize_rows, real_outputs, run
from edgeq.reporting.markdown import write_table

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "imports.json", HERE.parents[1] / "docs" / "import.md"
SEED, CALIBRATION, ROWS, COMPARED = 1, 32, 16, 8
NORMED = 256  # rows that BatchNorm's statistics are of: others than those that calibrate
SAID = 240  # letters of a refusal
CPU_S = 180  # a process that needs more is a row without numbers
OPSETS = {"onnx": 17, "onnx dynamo": 18}  # of torch's older exporter, and of its newer one
VIAS = ("torch", *OPSETS)
DSP = frozenset({"dsp"})  # the kernels of a Cortex-M4
OWN = [net for net in NETS if net not in TORCHVISION]
RUNS = [
    *((net, via, "int8") for via in VIAS for net in OWN),
    *(("ds_cnn", "torch", kind) for kind in ("int4", "ternary")),
    *((net, via, "int8") for via in VIAS for net in TORCHVISION),
]


def rows_of(shape: tuple[int, ...], count: int, seed: int) -> Tensor:
    """Smooth signals with a little noise (count, *shape): sums along each axis but the channels.

    Each has mean 0 and deviation 1, so that those not calibrated with lie in the same range.
    """
    x = torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))
    noise = 0.2 * x
    for axis in range(2, x.dim()):
        x = x.cumsum(axis)
    flat = (x + noise).flatten(1)
    flat = (flat - flat.mean(1, keepdim=True)) / flat.std(1, keepdim=True)
    return flat.reshape(x.shape)


def run_in(module: nn.Module, x: Tensor) -> nn.Module:
    """BatchNorm's statistics as those of x; then in evaluation mode."""
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None  # the mean over all batches
        norm.reset_running_stats()
        norm.train()
    with torch.no_grad():
        module.eval()
        for norm in norms:
            norm.train()
        module(x)
    return module.eval()


def imported(module: nn.Module, x: Tensor, via: str, name: str) -> edgeq.nn.Model:
    """The float model by `via`."""
    if via == "torch":
        return edgeq.from_torch(module, x[:1], name=name)
    with scratch_folder() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the exporter is the old one
        file = folder / f"{name}.onnx"
        newer = via == "onnx dynamo"
        with contextlib.redirect_stdout(sys.stderr):  # the newer one tells its progress
            torch.onnx.export(
                module, (x[:1],), file, dynamo=newer, opset_version=OPSETS[via], verbose=False
            )
        return edgeq.from_onnx(file)


def decibels(wanted: Any, got: Any) -> float:
    return round(float(10 * np.log10((wanted**2).sum() / ((wanted - got) ** 2).sum())), 1)


def real(module: nn.Module, x: Tensor) -> Any:
    """What the float module answers (rows, values), maps channels last as the integers are."""
    with torch.no_grad():
        y = module(x)
    y = y.permute(0, 2, 3, 1) if y.dim() == 4 else y
    return y.flatten(1).numpy().astype(np.float64)


def as_int8(x: Tensor, calibration: Tensor) -> Tensor:
    """The rows on the grid of an int8 input."""
    quant = choose_quant(calibration.numpy(), "mse")
    codes = (x / quant.per_tensor).round().add(quant.zero_point).clamp(-128, 127)
    return (codes - quant.zero_point) * quant.per_tensor


def measured(net: str, via: str, weights: str) -> dict[str, Any]:
    """One row of the table. Raises EdgeqError for what is refused."""
    facts = NETS[net]
    torch.manual_seed(SEED)
    calibration = rows_of(facts.shape, CALIBRATION, SEED)
    module = run_in(facts.build(), rows_of(facts.shape, NORMED, SEED + 2))
    rows = rows_of(facts.shape, ROWS, SEED + 1)
    model = imported(module, rows, via, net)
    model = edgeq.quantize(model, calibration.numpy(), weights, progress=False)
    given = [model_rows(x.numpy(), facts.shape, "rows", model.layout) for x in (calibration, rows)]
    graph = quantize(graph_of(model), given[0], "mse", DSP).graph
    codes = quantize_rows(graph, given[1])
    compiled = compile_graph(graph, net, "0" * 64)
    with scratch_folder() as folder:
        runner = host_runner(graph, compiled.project, folder)
        asked = [t for each in trials(graph, codes[:COMPARED], COMPARED) for t in each]
        check = compare(graph, asked, list(runner(asked)), "host")
    got = real_outputs(graph, run(graph, codes).output)
    wanted, rounded = (real(module, x) for x in (rows, as_int8(rows, calibration)))
    return {
        "parameters": sum(p.numel() for p in module.parameters()),
        "weight_bytes": compiled.packed.total_bytes,
        "arena_bytes": compiled.plan.arena_bytes,
        "rows": check.samples,
        "mismatches": check.mismatches,
        "sqnr_db": decibels(wanted, got),
        "sqnr_of_rounded_input_db": decibels(wanted, rounded),
        "sqnr_of_differences_db": decibels(wanted - wanted.mean(0), got - wanted.mean(0)),
        "top1": int((wanted.argmax(1) == got.argmax(1)).sum()),
        "top1_rows": ROWS,
    }


def one(key: tuple[str, str, str]) -> dict[str, Any]:
    """`measured`, or why there is nothing."""
    try:
        return measured(*key)
    except EdgeqError as error:
        said = f"{type(error).__name__}: {error}"
        return {"refused": said if len(said) <= SAID else f"{said[:SAID]} ..."}


def within_limits(key: tuple[str, str, str]) -> dict[str, Any]:
    """`one` in a process of its own, of at most CPU_S seconds."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))  # noqa: E731
    command = [sys.executable, __file__, "--one", *key]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, preexec_fn=limit, check=False)
    if ran.returncode < 0:
        return {"refused": f"not measured: beyond {CPU_S} CPU-seconds"}
    ran.check_returncode()
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def measure(commit: str) -> None:
    """Adds each missing run; one is written before the next begins."""
    runs = stored()
    done = {(r["network"], r["via"], r["weights"]) for r in runs}
    for key in (k for k in RUNS if k not in done):
        said = dict(zip(("network", "via", "weights"), key, strict=True))
        runs.append(said | {"seed": SEED, "commit": commit} | within_limits(key))
        print(runs[-1], flush=True)
        write_file(RESULTS, (json.dumps({"runs": runs}, indent=1) + "\n").encode())


def stored() -> list[dict[str, Any]]:
    """The runs of imports.json; none where it is not there."""
    runs: list[dict[str, Any]] = []
    return json.loads(RESULTS.read_text(encoding="utf-8"))["runs"] if RESULTS.exists() else runs


def markdown(runs: list[dict[str, Any]]) -> str:
    """A line for each of RUNS, by network; one that `runs` lacks says so."""
    heads = ("network", "input", "from", "weights", "bytes", "arena", "rows equal in C")
    heads += ("SQNR, dB", "of differences", "float on int8 input")
    lines = [f"| {' | '.join(heads)} |", "|---|---|---|---|" + "---:|" * 6]
    held = {(r["network"], r["via"], r["weights"]): r for r in runs}
    for key in sorted(RUNS, key=lambda key: list(NETS).index(key[0])):
        facts, r = NETS[key[0]], held.get(key, {"refused": "not measured"})
        cells = [facts.title, "x".join(map(str, facts.shape)), *key[1:]]
        if "refused" in r:
            cells += [r["refused"], "", "", "", "", ""]
        else:
            cells += [f"{r['weight_bytes']:,}", f"{r['arena_bytes']:,}"]
            cells += [f"{r['rows'] - r['mismatches']} of {r['rows']}"]
            cells += [str(r["sqnr_db"]), str(r["sqnr_of_differences_db"])]
            cells += [str(r["sqnr_of_rounded_input_db"])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measures or writes the table; returns edgeq's exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write-table", action="store_true", help="into docs/import.md")
    parser.add_argument("--commit", default="", help="what is measured, kept in imports.json")
    parser.add_argument("--one", nargs=3, metavar=("NET", "VIA", "WEIGHTS"), help="one, as JSON")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if given.one:
        print(json.dumps(one(tuple(given.one))))
        return 0
    try:
        if not given.write_table:
            measure(given.commit)
        else:
            write_table(PAGE, markdown(stored()), "networks")
    except EdgeqError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(markdown(stored()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
