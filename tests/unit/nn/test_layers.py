"""Quantised layers against plain PyTorch on the dequantised values, and the exact integer form."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import BadInput
from edgeq.nn import (
    KINDS,
    AvgPool2d,
    Conv1d,
    Conv2d,
    GlobalAvgPool,
    LayerNorm,
    Linear,
    MaxPool2d,
    QuantLayer,
    calibrate_ptq,
)


def _settle(layer: QuantLayer, x: torch.Tensor) -> None:
    if layer.kind == "ptq":
        calibrate_ptq(layer, x)
    else:
        layer.train()(x)
    layer.eval()


@pytest.mark.parametrize("kind", KINDS)
def test_linear_is_codes_times_scales(kind: str) -> None:
    torch.manual_seed(0)
    layer, x = Linear(20, 7, kind), torch.randn(5, 20)
    _settle(layer, x)
    codes, scale = layer.quantized()
    assert codes.dtype == torch.int16
    assert scale.dtype == torch.float32
    sx, zero = layer.act.qparams()
    q = np.clip(np.round(x.double().numpy() / sx) + zero, -128, 127).astype(np.int64)
    acc = (q - zero) @ codes.numpy().astype(np.int64).T
    want = acc * (scale.double().numpy() * sx) + layer.bias.detach().double().numpy()
    np.testing.assert_allclose(layer(x).detach().numpy(), want, rtol=1e-6, atol=1e-7)


@given(n=st.integers(1, 40), kind=st.sampled_from(list(KINDS)), seed=st.integers(0, 99))
def test_linear_row_does_not_depend_on_its_batch(n: int, kind: str, seed: int) -> None:
    torch.manual_seed(seed)
    layer, x = Linear(33, 6, kind), torch.randn(n, 33)
    _settle(layer, x)
    together = layer(x)
    alone = torch.cat([layer(row[None]) for row in x])
    assert torch.equal(together, alone)


@pytest.mark.parametrize("kind", KINDS)
def test_conv2d_and_depthwise_use_the_shipped_codes(kind: str) -> None:
    torch.manual_seed(1)
    x = torch.randn(2, 4, 9, 8)
    for layer in (
        Conv2d(4, 6, 3, kind, (2, 1), 1),
        Conv2d(4, 8, 3, kind, groups=4, padding=1),
        Conv2d(4, 6, 3, kind, groups=2, padding=2, dilation=(2, 3)),
    ):
        _settle(layer, x)
        codes, scale = layer.quantized()
        assert codes.shape == layer.weight.shape
        w = codes * scale.reshape(-1, 1, 1, 1)
        xq = layer.act.codes(x) * layer.act.qparams()[0]
        want = F.conv2d(
            xq,
            w.double(),
            layer.bias.double(),
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.groups,
        )
        torch.testing.assert_close(layer(x).double(), want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["ternary", "int4", "int8"])
def test_conv1d_equals_conv2d_of_height_one(kind: str) -> None:
    torch.manual_seed(2)
    one = Conv1d(3, 5, 3, kind, 2, 1, dilation=3)
    two = Conv2d(3, 5, (1, 3), kind, (1, 2), (0, 1), dilation=(1, 3))
    two.weight.data = one.weight.data[:, :, None].clone()
    x = torch.randn(2, 3, 21)
    _settle(one, x)
    _settle(two, x[:, :, None])
    torch.testing.assert_close(one(x), two(x[:, :, None])[:, :, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_pass_straight_through(kind: str) -> None:
    torch.manual_seed(3)
    layer, x = Linear(8, 4, kind), torch.randn(6, 8, requires_grad=True)
    layer.train()(x).sum().backward()
    assert layer.weight.grad is not None
    assert bool(layer.weight.grad.abs().sum() > 0)
    assert x.grad is not None
    assert bool(x.grad.abs().sum() > 0)


def test_ptq_is_float_until_calibrated() -> None:
    torch.manual_seed(4)
    layer, x = Linear(16, 4, "ptq"), torch.randn(50, 16)
    layer.train()(x)
    layer.eval()
    plain = F.linear(x, layer.weight, layer.bias)
    assert torch.equal(layer(x), plain)
    assert calibrate_ptq(layer, x) == 1
    rounded = layer(x)
    assert not torch.equal(rounded, plain)
    torch.testing.assert_close(rounded, plain, rtol=0.1, atol=0.05)


def test_activation_range_follows_training_and_holds_zero() -> None:
    layer = Linear(4, 2)
    layer.train()(torch.full((3, 4), 5.0))
    assert (float(layer.act.low), float(layer.act.high)) == (0.0, 5.0)
    layer(torch.full((3, 4), 7.0))
    assert 5.0 < float(layer.act.high) < 7.0
    frozen = float(layer.act.high)
    layer.eval()(torch.full((3, 4), 100.0))
    assert float(layer.act.high) == frozen
    scale, zero_point = layer.act.qparams()
    assert scale > 0
    assert zero_point == -128
    assert float(layer.act(torch.zeros(1))) == 0.0


def test_activation_rounding_can_be_switched_off() -> None:
    layer, x = Linear(4, 2, "int8", act_quant=False), torch.randn(3, 4)
    layer.train()(x)
    assert not layer.eval().act.active
    codes, scale = layer.quantized()
    torch.testing.assert_close(layer(x), F.linear(x, codes * scale[:, None], layer.bias))


def test_pools_match_pytorch_and_do_not_count_padding() -> None:
    x = torch.randn(2, 3, 7, 8)
    assert torch.equal(MaxPool2d(3, 2, 1)(x), F.max_pool2d(x, 3, 2, 1))
    assert AvgPool2d(2)(x).shape == (2, 3, 3, 4)
    ones = AvgPool2d(3, 1, 1)(torch.ones(1, 1, 4, 4))
    torch.testing.assert_close(ones, torch.ones(1, 1, 4, 4))
    torch.testing.assert_close(GlobalAvgPool()(x), x.mean((2, 3)))


def test_wrong_shapes_and_groups_are_refused() -> None:
    for inputs, outputs in ((4, 7), (5, 8)):
        with pytest.raises(BadInput, match=f"multiple of it, got {inputs} in and {outputs} out"):
            Conv2d(inputs, outputs, 3, groups=2)
    with pytest.raises(BadInput, match="each must be a whole number of 1 or more"):
        Conv2d(4, 8, 3, groups=0)
    with pytest.raises(BadInput, match=r"dilation: \(1, 0\); each"):
        Conv2d(4, 8, 3, dilation=(1, 0))
    with pytest.raises(BadInput, match="padding_mode 'reflect'"):
        Conv1d(4, 8, 3, padding_mode="reflect")
    with pytest.raises(BadInput, match="flat features"):
        LayerNorm(4)(torch.zeros(2, 4, 3))
    with pytest.raises(BadInput, match="takes 4 features"):
        Linear(4, 2)(torch.zeros(2, 5))
    with pytest.raises(BadInput, match="Conv2d takes"):
        Conv2d(4, 8, 3)(torch.zeros(2, 3, 5, 5))
    with pytest.raises(BadInput, match="or 2 of them"):
        MaxPool2d((2, 2, 2))
