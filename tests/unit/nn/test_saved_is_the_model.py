"""What edgeq.save writes is the model: it answers alike when loaded, or nothing is written."""

import copy
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils import parametrize, prune

from edgeq import nn
from edgeq.errors import BadInput, EdgeqError, UnsupportedOp
from edgeq.nn import Conv2d, Linear, Model, ReLU, Residual, Sequential, load, save

S, L = Sequential, Linear


def rows(*shape: int) -> Tensor:
    return torch.randn(24, *shape, generator=torch.Generator().manual_seed(5))


def calibrated(body: torch.nn.Module, shape: tuple[int, ...] = (8,)) -> Model:
    model = Model(body, shape)
    model.train()(rows(*shape))
    model.calibrate(rows(*shape).numpy())
    return model


def twice_everywhere() -> Any:
    relu, layer = ReLU(), L(8, 8)
    return S(S(layer, relu, L(8, 8), relu), Residual(S(layer, relu)), layer, L(8, 3))


def tied_parameter() -> Any:
    a, b = L(8, 8, "int4"), L(8, 8)
    b.weight = a.weight
    return S(a, ReLU(), b, L(8, 3))


def mixture_of_shared_layers() -> Any:
    stem, head = L(8, 6), L(6, 3)
    experts = [S(stem, ReLU(), head), S(stem, nn.ReLU6(), L(6, 3, "int4")), S(stem, head)]
    return nn.Mixture(experts, nn.BayesianRouter(8, 3, (6, 4)), ("int8", "int4", "int8"))


def one_expert_twice() -> Any:
    expert = S(L(8, 3))
    return nn.Mixture([expert, expert], nn.PlainRouter(8, 2, (6, 4)), ("int8", "int8"))


def repeated_blocks_of_a_trunk() -> Any:
    block = Residual(S(Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), ReLU()))
    return S(Conv2d(1, 4, 3), block, block, nn.GlobalAvgPool(), L(4, 3))


def shortcut_that_is_the_body() -> Any:
    layer = L(8, 8)
    return S(Residual(layer, layer), L(8, 3))


TWICE: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "layers": (twice_everywhere, (8,)),
    "a parameter": (tied_parameter, (8,)),
    "layers of experts": (mixture_of_shared_layers, (8,)),
    "an expert": (one_expert_twice, (8,)),
    "blocks": (repeated_blocks_of_a_trunk, (1, 8, 8)),
    "body and shortcut": (shortcut_that_is_the_body, (8,)),
}


@pytest.mark.parametrize("case", TWICE)
def test_case_01_what_is_used_twice_is_saved_for_each_place(case: str, tmp_path: Path) -> None:
    make, shape = TWICE[case]
    torch.manual_seed(0)
    model = calibrated(make(), shape)
    save(model, tmp_path / "m.pt")
    again = load(tmp_path / "m.pt")
    x = rows(*shape)
    assert torch.equal(model.eval()(x), again(x))
    save(again, tmp_path / "again.pt")
    assert torch.equal(load(tmp_path / "again.pt")(x), again(x))


def test_case_01_a_layer_that_contains_itself_is_refused() -> None:
    body = S(L(8, 8))
    body.append(body)
    with pytest.raises(UnsupportedOp, match="contains itself"):
        Model(body, (8,))


def trained() -> Model:
    torch.manual_seed(0)
    return calibrated(S(Conv2d(1, 4, 3), ReLU(), nn.GlobalAvgPool(), L(4, 3)), (1, 6, 6))


def half_of_it(model: Model) -> None:
    model.body[0].half()  # type: ignore[operator]


def frozen(model: Model) -> None:
    model.requires_grad_(False)


def channels_last(model: Model) -> None:
    model.to(memory_format=torch.channels_last)


def sparse(model: Model) -> None:
    layer: Any = model.body[3]  # type: ignore[index]
    layer.weight = torch.nn.Parameter(layer.weight.detach().to_sparse())


def listening(model: Model) -> None:
    model.body[0].register_forward_hook(lambda *_: None)  # type: ignore[operator]


CONVERTED: dict[str, Callable[[Model], Any]] = {
    "double": lambda m: m.double(),
    "half": lambda m: m.half(),
    "bfloat16": lambda m: m.bfloat16(),
    "half of it": half_of_it,
    "frozen": frozen,
    "channels last": channels_last,
    "a hook that changes nothing": listening,
}


@pytest.mark.parametrize("case", CONVERTED)
def test_case_02_other_types_are_saved_as_float32(case: str, tmp_path: Path) -> None:
    model = trained()
    CONVERTED[case](model)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    modes = [m.training for m in model.modules()]
    save(model, tmp_path / "m.pt")
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    again, x = load(tmp_path / "m.pt"), rows(1, 6, 6)
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    assert torch.equal(copy.deepcopy(model).float().eval()(x), again(x))


def poisoned(value: float) -> Callable[[Model], Any]:
    return lambda m: m.body[3].weight.data.fill_(value)  # type: ignore[index,union-attr,operator]


def too_large_for_float32(model: Model) -> None:
    model.double()
    poisoned(1e300)(model)


def pruned(model: Model) -> None:
    prune.l1_unstructured(model.body[0], "weight", 0.5)  # type: ignore[index,arg-type,no-untyped-call]


class Doubled(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


def parametrized(model: Model) -> None:
    parametrize.register_parametrization(model.body[3], "weight", Doubled())  # type: ignore[index,arg-type]


def normed(model: Model) -> None:
    torch.nn.utils.weight_norm(model.body[3])  # type: ignore[index,arg-type]


def hooked(model: Model) -> None:
    model.body[0].register_forward_hook(lambda *args: args[2] + 0.5)  # type: ignore[operator]


def overridden(model: Model) -> None:
    model.body[1].forward = lambda x: x.abs()  # type: ignore[operator,assignment]


def other_shape(model: Model) -> None:
    model.body[3].weight = torch.nn.Parameter(torch.randn(2, 4))  # type: ignore[union-attr]


def other_kind(model: Model) -> None:
    model.body[3].kind = "int2"  # type: ignore[union-attr,assignment]


def set_attribute(name: str, value: Any) -> Callable[[Model], Any]:
    return lambda m: setattr(m, name, value)


def deep(model: Model) -> None:
    for _ in range(70):
        model.body = S(model.body)


class Subclass(Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1


def subclassed(model: Model) -> None:
    model.body[3] = Subclass(4, 3)  # type: ignore[index]


REFUSED: dict[str, tuple[Callable[[Model], Any], str]] = {
    "NaN": (poisoned(math.nan), "NaN or infinite values"),
    "infinite": (poisoned(math.inf), "NaN or infinite values"),
    "too large": (too_large_for_float32, "infinite values, as float32"),
    "pruned": (pruned, r"0: pruned; first torch\.nn\.utils\.prune\.remove"),
    "parametrized": (parametrized, r"remove_parametrizations\(layer, 'weight'\)"),
    "weight norm": (normed, "remove_weight_norm"),
    "a hook that changes answers": (hooked, "answers otherwise"),
    "an overridden forward": (overridden, "answers otherwise"),
    "another weight": (other_shape, "has shape|answers"),
    "another kind": (other_kind, "quant table does not agree"),
    "a meta tensor": (lambda m: m.to("meta"), "meta device"),
    "a sparse weight": (sparse, "no float32 copy of it"),
    "a long name": (set_attribute("name", "x" * 300), "name must be a short text"),
    "class names that are no text": (set_attribute("class_names", (0, 1, 2)), "class_names"),
    "five axes": (set_attribute("inputs", {"input": (1, 1, 1, 6, 6)}), "at most three axes"),
    "a threshold": (lambda m: setattr(m.body[3], "threshold", 1.5), "threshold"),
    "nested too deep": (deep, "deeper than 64"),
    "a subclass": (subclassed, r"a subclass of edgeq\.nn\.Linear"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_case_02_what_load_would_refuse_is_not_written(case: str, tmp_path: Path) -> None:
    model = trained()
    change, message = REFUSED[case]
    change(model)
    with pytest.raises(EdgeqError, match=message):
        save(model, tmp_path / "m.pt")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["m.onnx", "m.TFLITE", "m.pt2"])
def test_case_02_a_suffix_that_load_refuses_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"best as \.pt"):
        save(trained(), tmp_path / name)
    assert os.listdir(tmp_path) == []


class Louder(Model):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def test_case_02_a_model_with_a_forward_of_its_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="answers otherwise on"):
        save(Louder(S(L(8, 3)), (8,)), tmp_path / "m.pt")


def test_case_02_class_names_become_text_and_bad_ones_are_refused(tmp_path: Path) -> None:
    model = Model(L(8, 3), (8,), [0, np.int64(1), "two"])  # type: ignore[list-item]
    save(model, tmp_path / "m.pt")
    assert load(tmp_path / "m.pt").class_names == ("0", "1", "two")
    for bad in (["a", "b", ""], ["a", "b", "c" * 300], ["a", "b", "\ud800"], ["a", "b", 1.5]):
        with pytest.raises(BadInput, match="class name"):
            Model(L(8, 3), (8,), bad)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="2 class names for a model that gives 3 outputs"):
        Model(L(8, 3), (8,), ["a", "b"])
    with pytest.raises(BadInput, match="the model's name"):
        Model(L(8, 3), (8,), name="x" * 300)
    with pytest.raises(BadInput, match="the ternary threshold is"):
        L(8, 3, "ternary", threshold=1.5)


def test_case_05_labels_beyond_the_outputs_are_refused_when_built() -> None:
    x = rows(8).numpy()
    with pytest.raises(BadInput, match=r"labels up to 3, the model knows 0\.\.2$"):
        Model(L(8, 3), (8,), evaluation=(x, np.full(24, 3)))
    with pytest.raises(BadInput, match="a single output says no class"):
        Model(L(8, 1), (8,), evaluation=(x, np.arange(24) % 2))


def test_a_router_whose_dropout_was_changed_is_saved_as_it_is(tmp_path: Path) -> None:
    model = calibrated(mixture_of_shared_layers())
    model.mixtures[0].router.dropout = 0.4  # its masks were drawn already
    save(model, tmp_path / "m.pt")
    x = rows(8)
    assert torch.equal(load(tmp_path / "m.pt")(x), model.eval()(x))


# --- wrappers

WRAPPERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "compiled": (lambda m: torch.compile(m, backend="eager"), r"\._orig_mod"),
    "data parallel": (torch.nn.DataParallel, r"\.module"),
    "averaged": (torch.optim.swa_utils.AveragedModel, r"\.module"),
    "scripted": (
        lambda m: torch.jit.trace(m.eval(), torch.zeros(1, 8), check_trace=False),
        "module that it was made from",
    ),
}


class Ema(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.ema = model


class Adapted(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.base_model = model

    def merge_and_unload(self) -> torch.nn.Module:
        return self


WRAPPERS |= {"another": (Ema, r"\.ema"), "adapters": (Adapted, "merge_and_unload")}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", WRAPPERS)
def test_case_04_wrappers_are_told_what_to_save(case: str, tmp_path: Path) -> None:
    wrap, message = WRAPPERS[case]
    with pytest.raises(BadInput, match=message):
        save(wrap(Model(S(L(8, 3)), (8,))), tmp_path / "m.pt")
    with pytest.raises(UnsupportedOp, match=rf"body\.1 .*{message}"):
        Model(S(ReLU(), wrap(L(8, 3))), (8,))


def test_case_04_torchs_own_layers_are_told_from_edgeqs() -> None:
    body = S(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.CELU())
    with pytest.raises(UnsupportedOp) as error:
        Model(body, (8,))
    text = str(error.value)
    assert "body.0 (Linear: torch.nn.Linear is another layer than edgeq.nn.Linear; use" in text
    assert "body.1 (ReLU: torch.nn.ReLU is another layer than edgeq.nn.ReLU; use" in text
    assert "body.2 (CELU). The layers of edgeq.nn are" in text


# --- arguments

ARGUMENTS: dict[str, tuple[Callable[[], Any], str]] = {
    "same": (lambda: Conv2d(1, 4, 3, padding="same"), "padding is 'same'.*kernel_size // 2"),
    "valid": (lambda: nn.Conv1d(1, 4, 3, padding="valid"), "padding is 'valid'"),
    "causal images": (lambda: Conv2d(1, 4, 3, padding="causal"), "padding is 'causal'"),
    "same in time": (lambda: nn.Conv1d(1, 4, 3, padding="same"), "Conv1d takes 'causal'"),
    "no dilation": (lambda: Conv2d(1, 4, 3, dilation=0), "dilation.*1 or more"),
    "reflected": (lambda: Conv2d(1, 4, 3, padding_mode="reflect"), "padding_mode 'reflect'"),
    "ceil": (lambda: nn.MaxPool2d(2, ceil_mode=True), "ceil_mode True"),
    "ceil of means": (lambda: nn.AvgPool2d(2, ceil_mode=True), "ceil_mode True"),
    "dilated pool": (lambda: nn.MaxPool2d(2, dilation=2), "dilation 2"),
    "a pool padded too far": (lambda: nn.MaxPool2d(2, padding=2), "more than half"),
    "three sizes": (lambda: nn.MaxPool2d((2, 2, 2)), "or 2 of them"),
    "a fraction": (lambda: Conv2d(1, 4, 2.5), "kernel_size is 2.5"),
    "no kernel": (lambda: Conv2d(1, 4, 0), "1 or more"),
    "no stride": (lambda: nn.Conv1d(1, 4, 3, stride=0), "stride.*1 or more"),
    "negative padding": (lambda: Conv2d(1, 4, 3, padding=-1), "padding is -1"),
    "no features": (lambda: L(0, 4), "1 or more"),
    "dropout": (lambda: nn.Dropout(1.5), "p is 1.5; allowed are 0 to 1"),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_case_12_arguments_without_a_kernel_are_clearly_refused(case: str) -> None:
    make, message = ARGUMENTS[case]
    with pytest.raises(BadInput, match=message):
        make()


def test_case_12_torchs_defaults_are_accepted() -> None:
    Conv2d(1, 4, 3, dilation=1, padding_mode="zeros")
    nn.MaxPool2d(2, dilation=1, ceil_mode=False)
    assert Conv2d(1, 4, np.int64(3)).kernel_size == (3, 3)  # type: ignore[arg-type]


def test_case_12_a_pool_of_one_axis_is_listed_with_the_layers_there_are() -> None:
    with pytest.raises(UnsupportedOp, match=r"body\.1 \(MaxPool1d\).*MaxPool2d"):
        Model(S(nn.Conv1d(1, 4, 3), torch.nn.MaxPool1d(2)), (1, 8))
