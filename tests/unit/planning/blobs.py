"""A small float network with something to tell apart, for studies."""

from functools import cache

import numpy as np
import torch

from edgeq import nn


@cache
def _trained() -> nn.Model:
    torch.manual_seed(3)
    rng = np.random.default_rng(3)
    y = rng.integers(0, 4, 300)
    means = np.eye(4)[y].repeat(9, 1).reshape(-1, 1, 6, 6)
    x = (rng.normal(size=(300, 1, 6, 6)) + means).astype(np.float32)
    body = nn.Sequential(
        *nn.conv_block(1, 8, "ptq"),
        *nn.separable_block(8, 12, "ptq", depthwise_kind="ptq"),
        nn.Flatten(),
        nn.Linear(12 * 36, 4, "ptq"),
    )
    model = nn.Model(body, (1, 6, 6), name="blobs", evaluation=(x[200:], y[200:]))
    nn.fit(model, (x[:160], y[:160]), (x[160:200], y[160:200]), epochs=4, progress=False)
    model.calibrate(x[:160])
    return model


def network() -> nn.Model:
    """A convolution, a depthwise one, 1x1 and a dense layer; 160 calibration, 100 test rows."""
    trained = _trained()
    return trained.around(trained.body)
