"""What a network answers as the device does, and the files that keep it."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

import edgeq
from edgeq import nn
from edgeq.arrays import channels_last
from edgeq.board import load_board
from edgeq.ir import Graph
from edgeq.ops.op import Array
from edgeq.reference import quantize_rows, run
from edgeq.sources import Trained

BOARD = "nucleo_l4r5zi"
PASSES, DROPOUT = 10, 0.1953  # Monte Carlo dropout over the head, as in the paper's router
Cell = dict[str, Array]


def network_answers(name: str, model: nn.Model, parts: Mapping[str, Array], models: Path) -> Cell:
    """For each part its int8 `logits` (row, class), as the device gives them, and the Monte Carlo
    uncertainty `mc` (row,) of the head; the logits' scale and the kernels that the board runs.
    The model file goes into the folder `models`."""
    edgeq.save(model, models / file_of(name))
    graph = graph_of(model)
    told: Cell = {
        f"scale/{name}": np.array(graph.tensors[graph.outputs[0]].quant.per_tensor),
        f"kernels/{name}": kernels_of(graph),
    }
    for part, x in parts.items():
        result = run(graph, quantize_rows(graph, channels_last(x)))
        told[f"{part}/{name}/logits"] = result.output.astype(np.int8)
        told[f"{part}/{name}/mc"] = head_uncertainty(model, x)
    return told


def kernels_of(graph: Graph) -> Array:
    """The kernel of every node, of experts too: networks that agree in them cost the same."""
    nodes = list(graph.nodes)
    for node in graph.nodes:
        nodes += [n for e in getattr(node.attrs, "experts", ()) for n in e.graph.nodes]
    return np.array([node.kernel or "" for node in nodes])


def file_of(name: str) -> str:
    """The model file of a network."""
    return f"{name.replace(' ', '_')}.pt"


def graph_of(model: nn.Model) -> Graph:
    """The integer graph that an export for the board ships."""
    features = load_board(BOARD).features
    source = Trained("", model)
    return source.quantized(source.rows(None), "mse", features, None).graph


@torch.no_grad()
def head_uncertainty(model: nn.Model, x: Array) -> Array:
    """sum_c Var_m p_c over PASSES passes of the last layer alone, its input thinned by DROPOUT: the
    paper's epistemic uncertainty, asked of the cheap network itself. In float; the same masks
    serve every row. float32 (row,)."""
    seen = list[torch.Tensor]()
    head = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.eval()(torch.from_numpy(x))
    hook.remove()
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(PASSES, seen[0].shape[1], generator=generator) >= DROPOUT
    p = [torch.softmax(head(seen[0] * mask / (1 - DROPOUT)), 1) for mask in masks]
    variance: Array = torch.stack(p).var(0).sum(1).numpy()
    return variance


def keep(path: Path, make: Callable[[], Cell], *, anew: bool = False) -> None:
    """Writes what `make` gives, and its CPU-seconds, unless the file is there already."""
    if path.is_file() and not anew:
        return
    start = os.times()
    told = make()
    now = os.times()
    seconds = now.user + now.system - start.user - start.system
    seconds += float(told.pop("cpu_seconds", np.zeros(())))
    partial = path.with_suffix(".partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("wb") as file:
        np.savez(file, cpu_seconds=seconds, **told)
    partial.rename(path)
