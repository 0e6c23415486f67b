"""model.pt, data sets and graph.npz: zip archives with a pickle, arrays, a JSON header inside."""

import io
import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.arrays import class_labels, graph_rows, model_rows, parts, read_npz
from tests.hostile import mutate
from tests.hostile.mutate import Entries, chosen
from tests.hostile.oracle import Case, Place, Surface

SHAPE, CLASSES = (4,), 3


def _models(place: Place) -> list[bytes]:
    """Saved models: a plain one, one with every kind of layer, a mixture, several ends."""
    import torch

    import edgeq
    from edgeq import nn

    torch.manual_seed(5)
    torch.set_num_threads(1)
    x = torch.randn(12, 4)
    y = torch.arange(12) % CLASSES
    small = nn.Sequential(nn.Linear(4, 5, "int4"), nn.ReLU(), nn.Linear(5, CLASSES, "ternary"))
    experts = [
        nn.Sequential(nn.Linear(4, 4, kind), nn.ReLU(), nn.Linear(4, CLASSES, kind))
        for kind in ("ternary", "int8")
    ]
    router = nn.BayesianRouter(4, 2, hidden=(4, 4))
    mixed = nn.Mixture(experts, router, ("ternary", "int8"))
    maps = nn.Sequential(
        nn.Conv2d(1, 2, 3, "int8", padding=1), nn.BatchNorm2d(2), nn.ReLU6(), nn.MaxPool2d(2),
        nn.Conv2d(2, 2, 3, "int8", padding=1, groups=2), nn.GlobalAvgPool(), nn.LayerNorm(2),
        nn.Linear(2, CLASSES, "ptq"), nn.Softmax(),
    )  # fmt: skip
    saved = []
    for body, shape in ((small, SHAPE), (mixed, SHAPE), (maps, (1, 4, 4))):
        rows = x if shape == SHAPE else torch.randn(12, *shape)
        model = nn.Model(body, shape, ("a", "b", "c"), rows, (rows, y))
        edgeq.save(model, place.case / "m.pt")
        saved.append((place.case / "m.pt").read_bytes())
        edgeq.load(place.case / "m.pt")
    edgeq.save(_several_ends(x, y), place.case / "m.pt")
    return [*saved, (place.case / "m.pt").read_bytes()]


def _several_ends(x: Any, y: Any) -> Any:
    """A model of two inputs and two outputs."""
    from edgeq import nn

    start = nn.Inputs({"left": nn.Linear(4, 2, "ptq"), "right": nn.Sequential()})
    ends = nn.Outputs({"classes": nn.Linear(6, CLASSES, "ptq"), "size": nn.Linear(6, 1, "ptq")})
    rows = {"left": x, "right": x.flip(1)}
    shapes = dict.fromkeys(rows, SHAPE)
    return nn.Model(nn.Sequential(start, ends), shapes, ("a", "b", "c"), rows, (rows, y))


def _graph_models(place: Place) -> list[bytes]:
    """Saved models whose body is a graph, as importers make them: float, and quantised."""
    import torch

    import edgeq
    from edgeq import nn

    torch.manual_seed(5)
    torch.set_num_threads(1)
    maps = nn.Sequential(
        nn.Conv2d(1, 2, 3, "ptq", padding=1), nn.ReLU6(), nn.MaxPool2d(2), nn.HardSwish(),
        nn.Residual(nn.Conv2d(2, 2, 3, "ptq", padding=1, groups=2)), nn.Flatten(),
        nn.Linear(8, 4, "ptq"), nn.LayerNorm(4), nn.Linear(4, CLASSES, "ptq"), nn.Softmax(),
    )  # fmt: skip
    shape = (1, 4, 4)
    rows, y = torch.randn(12, *shape), torch.arange(12) % CLASSES
    model = nn.Model(maps, shape, ("a", "b", "c"), rows, (rows, y))
    saved, flat = [], rows.flatten(1)[:, :4]
    made_of = [(model, weights) for weights in ("ptq", "int4", "ternary")]
    for source, weights in (*made_of, (_several_ends(flat, y), "int4")):
        made = edgeq.quantize(source, weights=weights)
        edgeq.save(made, place.case / "m.pt")
        saved.append((place.case / "m.pt").read_bytes())
        edgeq.load(place.case / "m.pt")
    return saved


def _model_case(rng: random.Random, base: list[bytes], place: Place) -> Case:
    data, path = rng.choice(base), place.case / "model.pt"
    entries = mutate.entries_of(data)
    mark = str(place.mark / "executed")
    path.write_bytes(
        chosen(
            rng,
            (
                (1, lambda: mutate.bytes_changed(rng, data)),
                (2, lambda: mutate.zip_changed(rng, entries)),
                (5, lambda: _with_pickle(rng, entries, mark)),
                (4, lambda: _with_content(rng, data)),
            ),
        )
    )
    deep = rng.random() < 0.05

    def load() -> str:
        import edgeq
        from edgeq.frontend.torch_loader import graph_of

        model = edgeq.load(path)
        graph = graph_of(model)
        if deep and model.calibration is not None:
            from edgeq.passes import quantize

            held = parts(model.calibration, model.inputs)
            rows = graph_rows(held, model.inputs, "the calibration set")
            quantize(graph, rows, "mse", frozenset())
        return ""

    return load


def _with_pickle(rng: random.Random, entries: Entries, mark: str) -> bytes:
    changed = [
        (n, mutate.pickle_changed(rng, d, mark) if n.endswith("data.pkl") else d)
        for n, d in entries
    ]
    return mutate.zip_of(changed)


def _with_content(rng: random.Random, data: bytes) -> bytes:
    """The plain data changed as a tree, saved as torch would."""
    import torch

    content = torch.load(io.BytesIO(data), weights_only=True)
    if rng.random() < 0.6:
        place = rng.choice(("config", "config", "config", "quant", "version"))
        content[place] = mutate.tree_changed(rng, content[place])
    else:
        state = content["state_dict"]
        _change_tensor(rng, state, rng.choice(list(state)))
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


def _change_tensor(rng: random.Random, state: dict[str, Any], key: str) -> None:
    import torch

    tensor, kind = state[key], rng.randrange(8)
    if kind == 0:
        state[key] = tensor.to(rng.choice((torch.float64, torch.float16, torch.int8, torch.uint8)))
    elif kind == 1:
        state[key] = tensor.unsqueeze(0).expand(rng.choice((2, 1000)), *tensor.shape)
    elif kind == 2:
        state[key] = tensor.flatten()[: tensor.numel() // 2]
    elif kind == 3 and tensor.is_floating_point() and tensor.numel():
        tensor.view(-1)[rng.randrange(tensor.numel())] = rng.choice(
            (0.0, 1e38, *mutate.FLOATS[-3:])
        )
    elif kind == 4:
        state[key] = tensor * rng.choice((0, 1e30, 1e-30, -1))
    elif kind == 5:
        state[key] = rng.choice((None, 3, "x", [tensor], torch.zeros(0)))
    elif kind == 6:
        del state[key]
    else:
        state[key] = state[rng.choice(list(state))]


def _data(place: Place) -> Entries:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(6, 4)).astype(np.float32), rng.integers(0, CLASSES, 6)
    out = io.BytesIO()
    np.savez(out, x=x, y=y)
    return mutate.entries_of(out.getvalue())


def _data_case(rng: random.Random, base: Entries, place: Place) -> Case:
    path = place.case / "data.npz"

    def special() -> bytes:
        kind = rng.randrange(4)
        if kind == 0:
            os.mkfifo(path)
        elif kind == 1:
            path.mkdir()
        elif kind == 2:
            path.symlink_to("/dev/zero")
        else:
            path.symlink_to(path)
        return b""

    data = chosen(
        rng,
        (
            (2, lambda: mutate.bytes_changed(rng, mutate.zip_of(base))),
            (4, lambda: mutate.zip_changed(rng, base)),
            (4, lambda: _with_array(rng, base)),
            (1, lambda: rng.choice(base)[1]),
            (1, special),
        ),
    )
    if data:
        path.write_bytes(data)

    def read() -> str:
        x, y = read_npz(path, "x", "y")
        rows = model_rows(x, SHAPE, str(path))
        class_labels(y, len(rows), CLASSES, str(path))
        return ""

    return read


def _with_array(rng: random.Random, entries: Entries) -> bytes:
    at = rng.randrange(len(entries))
    name, data = entries[at]
    return mutate.zip_of([*entries[:at], (name, mutate.npy_changed(rng, data)), *entries[at + 1 :]])


def _graphs(place: Place) -> list[Entries]:
    from edgeq.ops.graph_file import write_graph
    from tests import factory

    rng, found = np.random.default_rng(5), []
    for graph in (
        factory.fc_graph(rng, ("s16", "b1", "s3"), 5, 4, 3, softmax=True),
        factory.conv_graph(rng, shape=(9, 7, 2), channels=2, classes=2),
        factory.smallest_mixture(),
        factory.mixture_graph(
            rng, rule="escalation", top_k=2, gate="probability", trunk="fc",
            features=4, hidden=3, classes=3, passes=2, router_hidden=3,
        ),
    ):  # fmt: skip
        write_graph(graph, place.case / "g.npz")
        found.append(mutate.entries_of((place.case / "g.npz").read_bytes()))
    return found


def _graph_case(rng: random.Random, base: list[Entries], place: Place) -> Case:
    path, entries = place.case / "graph.npz", rng.choice(base)
    path.write_bytes(
        chosen(
            rng,
            (
                (1, lambda: mutate.bytes_changed(rng, mutate.zip_of(entries))),
                (2, lambda: mutate.zip_changed(rng, entries)),
                (7, lambda: _with_header(rng, entries)),
                (2, lambda: _with_array(rng, entries)),
            ),
        )
    )
    deep = rng.random() < 0.1
    return lambda: use_graph(path, deep)


def use_graph(path: Path, deep: bool) -> str:
    """What profile and estimate do with a graph: run, table, plan, pack, emit."""
    from edgeq.emit.firmware import firmware_project, layer_table
    from edgeq.memory import plan_memory
    from edgeq.passes.stored_graph import stored_graph
    from edgeq.reference import run
    from edgeq.reporting.memory_map import memory_map
    from edgeq.weights import pack_weights

    graph = stored_graph(path)
    shape = graph.tensors[graph.inputs[0]].shape
    run(graph, np.random.default_rng(0).integers(-128, 128, (2, *shape), dtype=np.int8))
    layer_table(graph)
    memory_map(graph, None)
    if deep:
        plan, packed = plan_memory(graph), pack_weights(graph)
        firmware_project(graph, plan, packed, model_name=graph.name, digest="0" * 64)
    return ""


def _with_header(rng: random.Random, entries: Entries) -> bytes:
    """The JSON header changed; the arrays as they were."""
    changed = []
    for name, data in entries:
        if name == "header.npy":
            start = 10 + int.from_bytes(data[8:10], "little")
            text = mutate.json_changed(rng, json.loads(data[start:]))
            data = mutate.npy("'|u1'", "False", f"({len(text)},)", text)
        changed.append((name, data))
    return mutate.zip_of(changed)


SURFACES = (
    Surface("model", _models, _model_case),
    Surface("graph_model", _graph_models, _model_case),
    Surface("data", _data, _data_case),
    Surface("graph", _graphs, _graph_case),
)
