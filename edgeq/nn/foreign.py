"""What to do instead, for modules that edgeq does not know: wrappers, torch's layers, hooks."""

import torch
from torch import nn
from torch.nn.utils import parametrize, prune

_NORM_HOOKS = {"WeightNorm": "remove_weight_norm", "SpectralNorm": "remove_spectral_norm"}
_INSIDE = {
    "OptimizedModule": "_orig_mod",  # torch.compile
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "FullyShardedDataParallel": "module",
    "AveragedModel": "module",
}


def advice(module: object) -> str | None:
    """The next step in words; None when there is nothing to say but the list of known layers."""
    name = type(module).__name__
    if hasattr(module, "merge_and_unload"):
        return "merge its adapters first: .merge_and_unload()"
    if isinstance(module, torch.jit.ScriptModule | torch.fx.GraphModule):
        return "a traced module has no layers left; use the module that it was made from"
    if isinstance(module, nn.Module) and parametrize.is_parametrized(module):
        return (
            "parametrized; first torch.nn.utils.parametrize.remove_parametrizations"
            f"(layer, {_first_name(module)!r})"
        )
    inside = _INSIDE.get(name) or _only_child(module)
    if inside is not None and isinstance(getattr(module, inside, None), nn.Module):
        return f"a wrapper; use the module inside it: .{inside}"
    return _of_layer(module, name)


def _first_name(module: nn.Module) -> str:
    return str(next(iter(module.parametrizations)))  # type: ignore[arg-type]


def _only_child(module: object) -> str | None:
    """The usual names of what a wrapper holds, where it holds nothing else."""
    children = list(module._modules) if isinstance(module, nn.Module) else []
    usual = ("module", "model", "base_model", "_orig_mod", "ema", "averaged_model")
    return children[0] if len(children) == 1 and children[0] in usual else None


def _of_layer(module: object, name: str) -> str | None:
    from edgeq import nn as ours  # late: edgeq.nn is being imported when this module is

    known = getattr(ours, name, None)
    where = type(module).__module__
    if type(module) is known:
        return None
    if where.startswith(("torch.ao.", "torch.nn.quantized", "torch.nn.intrinsic")):
        return "edgeq quantises by itself; use the float model's layers of edgeq.nn"
    if isinstance(known, type) and where.startswith("torch.nn"):
        return f"torch.nn.{name} is another layer than edgeq.nn.{name}; use the latter"
    for base in type(module).__mro__[1:]:
        if base.__module__.startswith("edgeq.nn") and hasattr(ours, base.__name__):
            return (
                f"a subclass of edgeq.nn.{base.__name__}, whose own code no file holds; "
                f"use edgeq.nn.{base.__name__} itself"
            )
    return None


def pending(module: nn.Module) -> list[str]:
    """ "path: next step" of every layer whose weight a hook or parametrization still computes."""
    found = []
    for path, layer in module.named_modules():
        if parametrize.is_parametrized(layer):
            found.append(f"{path}: {advice(layer)}")
        for hook in layer._forward_pre_hooks.values():
            if isinstance(hook, prune.BasePruningMethod):
                found.append(f"{path}: pruned; first torch.nn.utils.prune.remove(layer, 'weight')")
            elif type(hook).__name__ in _NORM_HOOKS:
                remove = _NORM_HOOKS[type(hook).__name__]
                found.append(f"{path}: reparametrized; first torch.nn.utils.{remove}(layer)")
    return found
