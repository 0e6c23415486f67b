"""save and load: the edgeq-model format, plain JSON config and dense tensors, never code."""

import io
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgeq.arrays import Shapes, parts
from edgeq.errors import BadInput, ModelFile, UnsupportedOp
from edgeq.files import scratch_folder, write_file
from edgeq.ir.ports import INPUT
from edgeq.nn.archive import MAX_BYTES, REBUILD, read_archive, refuse_suffix
from edgeq.nn.check import checked_body, checked_period
from edgeq.nn.config import config_of, skeleton
from edgeq.nn.foreign import advice, pending
from edgeq.nn.layers import QuantLayer
from edgeq.nn.model import Model
from edgeq.nn.read_back import check_answers
from edgeq.nn.rows import Floats
from edgeq.ports import MOST_PORTS
from edgeq.task import TASKS, checked_task

FORMAT = "edgeq-model"
VERSION = 1
_KEYS = {"format", "version", "config", "state_dict", "quant", "calibration", "evaluation"}
_CONFIG_KEYS = {"name", "input_shape", "class_names", "body"}


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Write `model` with its calibration and evaluation sets; the file appears whole or not.

    It is read back first, and its answers compared with the model's. A layer that stands in
    several places, or shares a weight, is saved once for each of them, and is that many layers
    when it is loaded. Tensors of another type are saved as float32.

    Raises UnsupportedOp for layers edgeq does not know, BadInput for weights that are not finite,
    for a model that its file would not be, or for a file that cannot be written.
    """
    if not isinstance(model, Model):
        raise BadInput(
            f"edgeq.save takes an edgeq.nn.Model, got {type(model).__name__}: "
            f"{advice(model) or 'wrap it in one: Model(body, input_shape)'}"
        )
    where = Path(path)
    refuse_suffix(where, BadInput)
    buffer = io.BytesIO()
    torch.save(_content(model), buffer)
    _read_back(model, buffer.getvalue())
    write_file(where, buffer.getvalue())


def _content(model: Model) -> dict[str, Any]:
    """What the file holds."""
    checked_body(model.body, model.inputs)  # it may have changed since it was built
    config = {
        "name": model.name,
        **_shapes(model.inputs),
        "class_names": None if model.class_names is None else list(model.class_names),
        "body": config_of(model.body),
    }
    if checked_task(model.task) is not None:
        config["task"] = model.task
    if checked_period(model.frame_s) is not None:
        config["frame_s"] = model.frame_s
    return {
        "format": FORMAT,
        "version": VERSION,
        "config": config,
        "state_dict": _state(model.body),
        "quant": _quant(model.body),
        "calibration": None if model.calibration is None else _held(model, model.calibration),
        "evaluation": None
        if model.evaluation is None
        else {"x": _held(model, model.evaluation[0]), "y": torch.tensor(model.evaluation[1])},
    }


def _shapes(inputs: Shapes) -> dict[str, Any]:
    """One input has a shape, several have names too."""
    if tuple(inputs) == (INPUT,):
        return {"input_shape": list(inputs[INPUT])}
    return {"inputs": {name: list(shape) for name, shape in inputs.items()}}


def _held(model: Model, rows: Floats) -> Tensor | dict[str, Tensor]:
    """Rows as the file has them: a tensor, or one a name."""
    held = {name: torch.tensor(part) for name, part in parts(rows, model.inputs).items()}
    return next(iter(held.values())) if len(held) == 1 else held


def _state(body: nn.Module) -> dict[str, Tensor]:
    """Every tensor by name, dense float32 (or whole numbers) of its own, in memory."""
    waiting = pending(body)
    if waiting:
        raise BadInput(f"the model's weights are not what they seem: {'; '.join(waiting)}")
    state = {k: _plain(k, v.detach()) for k, v in body.state_dict().items()}
    broken = [k for k, v in state.items() if v.is_floating_point() and not v.isfinite().all()]
    if broken:
        raise BadInput(
            f"the model holds NaN or infinite values, as float32, in {', '.join(broken[:5])}"
        )
    return state


def _plain(name: str, tensor: Tensor) -> Tensor:
    if tensor.is_meta:
        raise BadInput(f"{name} is on the meta device, which holds no values; load them first")
    if tensor.is_quantized or tensor.is_complex():
        raise BadInput(f"{name} is {tensor.dtype}; edgeq quantises by itself: keep float32 weights")
    dense = tensor if tensor.layout == torch.strided else tensor.to_dense()
    plain = dense.float() if dense.is_floating_point() else dense
    return plain.cpu().clone(memory_format=torch.contiguous_format)


def _read_back(model: Model, data: bytes) -> None:
    """Raises BadInput when `load` would refuse the file, or its model answers otherwise."""
    if len(data) > MAX_BYTES:
        raise BadInput(
            f"the model takes {len(data):,} bytes, load accepts {MAX_BYTES:,}; "
            "store a smaller calibration or evaluation set"
        )
    with scratch_folder() as folder:
        copy = folder / "model.pt"
        copy.write_bytes(data)
        try:
            again = load(copy)
        except ModelFile as error:
            reason = str(error).removeprefix(f"{copy}: ")
            raise BadInput(f"this model cannot be saved, load would refuse it: {reason}") from error
    check_answers(model, again)


def load(path: str | os.PathLike[str]) -> Model:
    """The saved model, in evaluation mode.

    Raises BadInput when there is no file, ModelFile for everything that is not a sound edgeq-model
    file; nothing in it runs.
    """
    where = Path(path)
    content = read_archive(where)
    try:
        return _model(content)
    except ModelFile as error:
        raise ModelFile(f"{where}: {error}") from error
    except (BadInput, UnsupportedOp, RecursionError, RuntimeError, ValueError, TypeError) as error:
        raise ModelFile(f"{where}: {str(error)[:300] or type(error).__name__}") from error


def _model(content: object) -> Model:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ModelFile(f"not an edgeq model (a bare state dict?); {REBUILD}")
    if content.get("version") != VERSION or isinstance(content.get("version"), bool):
        version = str(content.get("version"))[:20]
        raise ModelFile(
            f"format version {version}; this edgeq reads version {VERSION}: update "
            "edgeq, or save the model again"
        )
    if set(content) != _KEYS:
        raise ModelFile(f"the file must hold exactly {', '.join(sorted(_KEYS))}")
    config = _plain_config(content["config"])
    body = skeleton(config["body"])
    body.load_state_dict(_checked_state(body, content["state_dict"]), assign=True)
    if content["quant"] != _quant(body):
        raise ModelFile("the quant table does not agree with the config")
    model = Model(
        body,
        config["inputs"] if "inputs" in config else config["input_shape"],
        config["class_names"],
        _rows("calibration", content["calibration"]),
        _evaluation(content["evaluation"]),
        config["name"],
        config.get("task"),
        config.get("frame_s"),
    )
    return model.eval()


def _plain_config(config: object) -> dict[str, Any]:
    several = isinstance(config, dict) and "inputs" in config
    wanted = (_CONFIG_KEYS - {"input_shape"}) | {"inputs"} if several else _CONFIG_KEYS
    if not isinstance(config, dict) or set(config) - {"task", "frame_s"} != wanted:
        raise ModelFile(f"config must hold exactly {', '.join(sorted(wanted))}")
    names, inputs = config["class_names"], config.get("inputs", {})
    if several and (not isinstance(inputs, dict) or not 1 <= len(inputs) <= MOST_PORTS):
        raise ModelFile(f"config.inputs must hold the shapes of 1 to {MOST_PORTS} inputs")
    for shape in inputs.values() if several else [config["input_shape"]]:
        sizes = isinstance(shape, list) and 1 <= len(shape) <= 4
        if not sizes or any(type(n) is not int or not 1 <= n <= 2**20 for n in shape):
            raise ModelFile("config.input_shape must be a list of 1 to 4 whole numbers")
    texts = isinstance(names, list) and len(names) <= 10_000
    if names is not None and (not texts or any(not _short(n) for n in names)):
        raise ModelFile("config.class_names must be a list of short texts, or None")
    if config.get("task") not in (None, *TASKS):
        raise ModelFile(f"config.task must be one of {', '.join(TASKS)}")
    if not _short(config["name"]):
        raise ModelFile("config.name must be a short text")
    return config


def _short(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 200


def _checked_state(body: nn.Module, state: object) -> dict[str, Tensor]:
    """`state` copied, after comparing every key, type and shape with what `body` needs."""
    wanted = body.state_dict()
    if not isinstance(state, dict) or set(state) != set(wanted):
        odd = set(state) ^ set(wanted) if isinstance(state, dict) else {"(no dict)"}
        names = ", ".join(sorted(str(k)[:60] for k in list(odd)[:1000])[:5])
        raise ModelFile(f"state_dict and config disagree on: {names}")
    return {k: _dense(k, state[k], like.dtype, tuple(like.shape)) for k, like in wanted.items()}


def _dense(
    name: str, tensor: object, dtype: torch.dtype, shape: tuple[int, ...] | None = None
) -> Tensor:
    """A copy of `tensor` once it is known to be dense, finite and backed by real storage."""
    if not isinstance(tensor, Tensor):
        raise ModelFile(f"{name} is {type(tensor).__name__}, expected a tensor")
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.dtype != dtype:
        raise ModelFile(f"{name} is {tensor.dtype} {tensor.layout}, expected dense {dtype}")
    if shape is not None and tuple(tensor.shape) != shape:
        raise ModelFile(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")
    if tensor.device.type != "cpu" or not tensor.is_contiguous():
        raise ModelFile(f"{name} is not a contiguous tensor in memory")
    if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
        raise ModelFile(f"{name} holds NaN or infinite values")
    return tensor.detach().clone()


def _rows(name: str, rows: object) -> Tensor | dict[str, Tensor] | None:
    """A tensor, or one a name, which the model compares with its inputs."""
    if not isinstance(rows, dict):
        return None if rows is None else _dense(name, rows, torch.float32)
    if len(rows) > MOST_PORTS or not all(_short(key) for key in rows):
        raise ModelFile(f"{name} must be a tensor, or one for each input")
    return {key: _dense(f"{name}: {key}", part, torch.float32) for key, part in rows.items()}


def _evaluation(pair: object) -> tuple[Tensor | dict[str, Tensor], Tensor] | None:
    if pair is None:
        return None
    if not isinstance(pair, dict) or set(pair) != {"x", "y"}:
        raise ModelFile("evaluation must hold x and y, or be None")
    x = _rows("evaluation x", pair["x"])
    if x is None:
        raise ModelFile("evaluation x is None; its rows are missing")
    y = pair["y"]
    targets = isinstance(y, Tensor) and y.dtype == torch.float32
    return x, _dense("evaluation y", y, torch.float32 if targets else torch.int64)


def _quant(body: nn.Module) -> dict[str, dict[str, Any]]:
    """Packing and bits of every quantised layer: readable without building the model."""
    return {
        name: {"weight_format": layer.weight_format, "bits": layer.bits}
        for name, layer in body.named_modules(remove_duplicate=False)
        if isinstance(layer, QuantLayer)
    }
