"""Where the decibels of imported networks go, and what other ranges make of them; docs/import.md.

    python examples/imports/ranges.py              # measures what ranges.json lacks, resumes
    python examples/imports/ranges.py --write-table

The networks, seeds and rows of imports.py, int8 from each network's ONNX file: edgeq by every
method of ranges, onnxruntime by its own three from the same file and calibration rows.
"""

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from imports import (
    CPU_S,
    DSP,
    PEER,
    SEED,
    Subject,
    decibels,
    exported,
    in_float,
    keep,
    real,
    stored,
    subject,
)
from nets import NETS, TORCHVISION
from peer import METHODS as PEER_METHODS
from peer import peer_answers

from edgeq.frontend.torch_loader import graph_of
from edgeq.ir import Graph
from edgeq.ir.ports import limits
from edgeq.passes import quantize
from edgeq.passes.ranges import METHODS
from edgeq.reference import quantize_rows, real_outputs, run
from edgeq.reporting.markdown import write_table

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "ranges.json", HERE.parents[1] / "docs" / "import.md"
MISSED = ("mobilenet_v1", *(net for net in TORCHVISION if net != "squeezenet1_1"))  # 20 dB
OURS, THEIRS = ("mse", "minmax", "percentile", "margin"), tuple(PEER_METHODS)
PARTS = ("clipping", "rounding")
assert set(OURS) == set(METHODS)


def clipped(graph: Graph, name: str, values: Any) -> Any:
    """The values held in the tensor's range, not rounded."""
    kind = graph.tensors.get(name)
    if kind is None or kind.quant is None:
        return values
    low, high = ((n - kind.quant.zero_point) * kind.quant.per_tensor for n in limits(kind))
    return np.clip(values, low, high).astype(np.float32)


def rounded(graph: Graph, name: str, values: Any) -> Any:
    """The values in the tensor's steps, as far as they reach."""
    kind = graph.tensors.get(name)
    if kind is None or kind.quant is None:
        return values
    scale = kind.quant.per_tensor
    return (np.round(values / scale) * scale).astype(np.float32)


def measured(net: str) -> dict[str, float]:
    """SQNR in dB by method, and of clipping and rounding alone with the first one's ranges."""
    judged = subject(net)
    calibration, rows = judged.calibration, judged.rows
    wanted = real(judged.module, rows)
    found = ours(judged, wanted)
    with exported(judged.module, tuple(part[:1] for part in rows), PEER, "peer") as file:
        for method in THEIRS:
            got = peer_answers(file, calibration, rows, method)
            found[f"onnxruntime_{method}_db"] = decibels(wanted, got)
    return found


def ours(judged: Subject, wanted: Any) -> dict[str, float]:
    """What edgeq's methods leave of the answers `wanted`."""
    model, given = judged.quantised(PEER)
    found = {}
    for method in OURS:
        graph = quantize(graph_of(model), given[0], method, DSP).graph
        got = real_outputs(graph, run(graph, quantize_rows(graph, given[1])).output)
        found[f"{method}_db"] = decibels(wanted, got)
        if method == OURS[0]:
            parts: tuple[Callable[..., Any], ...] = (clipped, rounded)
            for part, change in zip(PARTS, parts, strict=True):
                made = in_float(model, graph, given[1], change)
                found[f"{part}_alone_db"] = decibels(wanted, made)
    return found


def within_limits(net: str) -> dict[str, float]:
    """`measured` in a process of its own, of at most CPU_S seconds."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))  # noqa: E731
    command = [sys.executable, __file__, "--one", net]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, preexec_fn=limit, check=True)
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def measure(commit: str) -> None:
    """Adds each missing network; one is written before the next begins."""
    runs = stored(RESULTS)
    done = {run["network"] for run in runs}
    for net in (n for n in reversed(NETS) if n not in done):  # the deep ones first
        runs.append({"network": net, "seed": SEED, "commit": commit} | within_limits(net))
        keep(runs, RESULTS)


def markdown(runs: list[dict[str, Any]]) -> str:
    """A line a network that was measured, the columns by quantiser and method, in dB."""
    columns = [f"{part}_alone_db" for part in PARTS] + [f"{m}_db" for m in OURS]
    columns += [f"onnxruntime_{m}_db" for m in THEIRS]
    heads = ["network", *(f"{part} alone" for part in PARTS), *OURS]
    heads += [f"onnxruntime {m}" for m in THEIRS]
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * len(columns)]
    held = {run["network"]: run for run in runs}
    for net in (n for n in NETS if n in held):
        cells = [NETS[net].title, *(str(held[net][column]) for column in columns)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write-table", action="store_true", help="into docs/import.md")
    parser.add_argument("--commit", default="", help="what is measured, kept in ranges.json")
    parser.add_argument("--one", metavar="NET", help="one, as JSON")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if given.one:
        print(json.dumps(measured(given.one)))
    elif given.write_table:
        write_table(PAGE, markdown(stored(RESULTS)), "ranges")
    else:
        measure(given.commit)
    return 0


if __name__ == "__main__":
    sys.exit(main())
