"""Well-known networks, unmodified, from PyTorch, ONNX and Keras to C; the table in docs/import.md.

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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from as_keras import AS_KERAS, as_keras
from nets import NETS, TORCHVISION, Shapes
from peer import peer_answers
from torch import Tensor, nn

import edgeq
from edgeq.arrays import graph_rows
from edgeq.compiled import compile_graph
from edgeq.errors import EdgeqError
from edgeq.files import scratch_folder, write_file
from edgeq.frontend.torch_loader import graph_of
from edgeq.ir import Graph
from edgeq.ir.ports import join, limits, split
from edgeq.ops import OPS
from edgeq.passes import prepare, quantize
from edgeq.passes.float_forward import float_params
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
CPU_S = 900  # a process that needs more is a row without numbers
OPSETS = {"onnx": 17, "onnx dynamo": 18}  # of torch's older exporter, and of its newer one
VIAS = ("torch", *OPSETS)
PEER = "onnx"  # the runs that onnxruntime's int8 of the same file stands beside
FIGURES = ("", "_of_differences", "_in_float", "_of_peer", "_of_rounded_input")
KINDS = ("int4", "ternary")  # beside int8, on the first network
DSP = frozenset({"dsp"})  # the kernels of a Cortex-M4
OWN = [net for net in NETS if net not in TORCHVISION]
RUNS = [
    *((net, via, "int8") for via in VIAS for net in OWN),
    *((net, "keras", "int8") for net in AS_KERAS),
    *((OWN[0], via, kind) for via in (*VIAS, "keras") for kind in KINDS),
    *((net, via, "int8") for via in VIAS for net in TORCHVISION),
]

Change = Callable[[Graph, str, Any], Any]
"""(integer graph, an activation's name, its values) -> what is read of it."""


def rows_of(shapes: Shapes, count: int, seed: int) -> tuple[Tensor, ...]:
    """For each input smooth signals with a little noise (count, *shape): sums along each axis but
    the channels.

    Each has mean 0 and deviation 1, so that those not calibrated with lie in the same range.
    """
    generator = torch.Generator().manual_seed(seed)
    return tuple(_rows_of(shape, count, generator) for shape in shapes)


def _rows_of(shape: tuple[int, ...], count: int, generator: torch.Generator) -> Tensor:
    x = torch.randn(count, *shape, generator=generator)
    noise = 0.2 * x
    for axis in range(2, x.dim()):
        x = x.cumsum(axis)
    flat = (x + noise).flatten(1)
    flat = (flat - flat.mean(1, keepdim=True)) / flat.std(1, keepdim=True)
    return flat.reshape(x.shape)


def run_in(module: nn.Module, x: tuple[Tensor, ...]) -> nn.Module:
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
        module(*x)
    return module.eval()


def imported(module: nn.Module, x: tuple[Tensor, ...], via: str, name: str) -> edgeq.nn.Model:
    """The float model by `via`; `x` are examples of its inputs."""
    example = tuple(part[:1] for part in x)
    if via == "torch":
        return edgeq.from_torch(module, example if len(x) > 1 else example[0], name=name)
    if via == "keras":
        with contextlib.redirect_stdout(sys.stderr):  # the converter tells its progress
            return edgeq.from_keras(as_keras(module, tuple(x[0].shape[1:])))
    with exported(module, example, via, name) as file:
        try:
            return edgeq.from_onnx(file)
        except EdgeqError as error:  # the folder's name is another one each time
            raise type(error)(str(error).replace(f"{file.parent}/", "")) from None


@contextlib.contextmanager
def exported(module: nn.Module, example: tuple[Tensor, ...], via: str, name: str) -> Iterator[Path]:
    """The .onnx file that one of torch's exporters writes, until the block ends."""
    with scratch_folder() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the exporter is the old one
        file = folder / f"{name}.onnx"
        newer = via == "onnx dynamo"
        with contextlib.redirect_stdout(sys.stderr):  # the newer one tells its progress
            torch.onnx.export(
                module, example, file, dynamo=newer, opset_version=OPSETS[via], verbose=False
            )
        yield file


def peer(module: nn.Module, calibration: tuple[Tensor, ...], rows: tuple[Tensor, ...]) -> Any:
    """What onnxruntime's int8 of the network answers (rows, values)."""
    with exported(module, tuple(part[:1] for part in rows), PEER, "peer") as file:
        return peer_answers(file, calibration, rows)


def decibels(wanted: Any, got: Any) -> float:
    return round(float(10 * np.log10((wanted**2).sum() / ((wanted - got) ** 2).sum())), 1)


def real(module: nn.Module, x: tuple[Tensor, ...]) -> Any:
    """What the float module answers (rows, values), maps channels last as the integers are;
    several answers one after another.
    """
    with torch.no_grad():
        made = module(*x)
    made = made if isinstance(made, tuple) else (made,)
    flat = [(y.permute(0, 2, 3, 1) if y.dim() == 4 else y).flatten(1) for y in made]
    return torch.cat(flat, 1).numpy().astype(np.float64)


def as_int8(x: Tensor, calibration: Tensor) -> Tensor:
    """The rows on the grid of an int8 input."""
    quant = choose_quant(calibration.numpy(), "mse")
    codes = (x / quant.per_tensor).round().add(quant.zero_point).clamp(-128, 127)
    return (codes - quant.zero_point) * quant.per_tensor


def as_given(x: tuple[Tensor, ...], model: edgeq.nn.Model) -> dict[str, Any]:
    """The rows by the model's inputs, in their order of axes: Keras has channels last."""
    arrays = [part.numpy() for part in x]
    if len(arrays) == 1 and (shape := next(iter(model.inputs.values()))) != arrays[0].shape[1:]:
        arrays = [np.moveaxis(arrays[0], 1, -1).reshape(-1, *shape)]
    return dict(zip(model.inputs, arrays, strict=True))


@dataclass(frozen=True)
class Subject:
    """A network with its rows: those that calibrate it, and those that it is judged by."""

    net: str
    module: nn.Module
    calibration: tuple[Tensor, ...]
    rows: tuple[Tensor, ...]

    def quantised(self, via: str, weights: str = "int8") -> tuple[edgeq.nn.Model, list[Any]]:
        """The model by `via`, and both sets of rows as its graph takes them."""
        model = imported(self.module, self.rows, via, self.net)
        arrays = [as_given(x, model) for x in (self.calibration, self.rows)]
        single = arrays[0] if len(arrays[0]) > 1 else next(iter(arrays[0].values()))
        model = edgeq.quantize(model, single, weights, progress=False)
        return model, [graph_rows(x, model.inputs, "rows", model.layout) for x in arrays]


def subject(net: str) -> Subject:
    """By the seeds that the tables name."""
    shapes = NETS[net].shapes
    torch.manual_seed(SEED)
    calibration = rows_of(shapes, CALIBRATION, SEED)
    module = run_in(NETS[net].build(), rows_of(shapes, NORMED, SEED + 2))
    return Subject(net, module, calibration, rows_of(shapes, ROWS, SEED + 1))


def measured(net: str, via: str, weights: str) -> dict[str, Any]:
    """One row of the table. Raises EdgeqError for what is refused."""
    judged = subject(net)
    module, calibration, rows = judged.module, judged.calibration, judged.rows
    model, given = judged.quantised(via, weights)
    graph = quantize(graph_of(model), given[0], "mse", DSP).graph
    codes = quantize_rows(graph, given[1])
    compiled = compile_graph(graph, net, "0" * 64)
    with scratch_folder() as folder:
        runner = host_runner(graph, compiled.project, folder)
        asked = [t for each in trials(graph, codes[:COMPARED], COMPARED) for t in each]
        check = compare(graph, asked, list(runner(asked)), "host")
    got = real_outputs(graph, run(graph, codes).output)
    plain = in_float(model, graph, given[1])
    coarse = tuple(as_int8(x, c) for x, c in zip(rows, calibration, strict=True))
    wanted, rounded = (real(module, x) for x in (rows, coarse))
    return {
        "parameters": sum(p.numel() for p in module.parameters()),
        "weight_bytes": compiled.packed.total_bytes,
        "arena_bytes": compiled.plan.arena_bytes,
        "rows": check.samples,
        "mismatches": check.mismatches,
        "sqnr_db": decibels(wanted, got),
        "sqnr_in_float_db": decibels(wanted, plain),
        "sqnr_of_rounded_input_db": decibels(wanted, rounded),
        "sqnr_of_differences_db": decibels(wanted - wanted.mean(0), got - wanted.mean(0)),
        "top1": int((wanted.argmax(1) == got.argmax(1)).sum()),
        "top1_rows": ROWS,
    } | (
        {"sqnr_of_peer_db": decibels(wanted, peer(module, calibration, rows))}
        if via == PEER
        else {}
    )


def in_float(model: edgeq.nn.Model, graph: Graph, rows: Any, change: Change | None = None) -> Any:
    """What float arithmetic answers (rows, values) with the graph's weights, each activation
    rounded to its scale, or changed as said: the integers' own rounding is all that this leaves
    out.
    """
    change = change or _rounded
    plain = prepare(graph_of(model))
    values = {name: part.astype(np.float32) for name, part in split(plain, rows).items()}
    values = {name: change(graph, name, part) for name, part in values.items()}
    for node in plain.nodes:
        given = tuple(values[name] for name in node.inputs)
        made = OPS[node.op].float_forward(node.attrs, given, float_params(plain, node))
        values[node.outputs[0]] = change(graph, node.outputs[0], made)
    return join(plain.outputs, values).reshape(len(rows), -1).astype(np.float64)


def _rounded(graph: Graph, name: str, values: Any) -> Any:
    """The nearest codes; as they are where the integer graph has no such tensor."""
    kind = graph.tensors.get(name)
    if kind is None or kind.quant is None:
        return values
    zero, scale = kind.quant.zero_point, kind.quant.per_tensor
    codes = np.clip(np.round(values / scale) + zero, *limits(kind))
    return ((codes - zero) * scale).astype(np.float32)


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
        keep(runs, RESULTS)


def keep(runs: list[dict[str, Any]], results: Path) -> None:
    """Writes the file with its newest run, which is told."""
    print(runs[-1], flush=True)
    write_file(results, (json.dumps({"runs": runs}, indent=1) + "\n").encode())


def stored(results: Path = RESULTS) -> list[dict[str, Any]]:
    """The runs of a file; none where it is not there."""
    runs: list[dict[str, Any]] = []
    return json.loads(results.read_text(encoding="utf-8"))["runs"] if results.exists() else runs


def markdown(runs: list[dict[str, Any]]) -> str:
    """A line for each of RUNS, by network; one that `runs` lacks says so."""
    heads = ("network", "from", "weights", "bytes", "arena", "rows equal in C", "SQNR, dB")
    heads += ("of differences", "in float", "onnxruntime", "int8 input")
    lines = [f"| {' | '.join(heads)} |", "|---|---|---|" + "---:|" * 8]
    held = {(r["network"], r["via"], r["weights"]): r for r in runs}
    for key in sorted(RUNS, key=lambda key: list(NETS).index(key[0])):
        facts, r = NETS[key[0]], held.get(key, {"refused": "not measured"})
        shapes = " + ".join("x".join(map(str, shape)) for shape in facts.shapes)
        cells = [f"{facts.title}, {shapes}", *key[1:]]
        if "refused" in r:
            cells += [r["refused"], *[""] * 7]
        else:
            cells += [f"{r['weight_bytes']:,}", f"{r['arena_bytes']:,}"]
            cells += [f"{r['rows'] - r['mismatches']} of {r['rows']}"]
            kept = [w for w in FIGURES if w != "_of_peer" or r["weights"] == "int8"]  # which it is
            cells += [str(r.get(f"sqnr{what}_db", "")) if what in kept else "" for what in FIGURES]
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
