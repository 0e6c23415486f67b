"""Reshape: the same bytes under another shape (channels-last order)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ops.op import Array, Io, Op, Params, no_macs


@dataclass(frozen=True)
class Reshape:
    shape: tuple[int, ...]


def _result_shape(
    attrs: Reshape, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    if np.prod(inputs[0]) != np.prod(attrs.shape):
        raise ValueError(f"cannot reshape {inputs[0]} to {attrs.shape}")
    return attrs.shape


def _float_forward(attrs: Reshape, x: tuple[Array, ...], params: Params) -> Array:
    return x[0].reshape(x[0].shape[0], *attrs.shape)


def _reference(attrs: Reshape, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    return x[0].reshape(x[0].shape[0], *attrs.shape)


OP = Op("Reshape", Reshape, _result_shape, _float_forward, _reference, no_macs)
