"""Mfcc: the cosine transform of LogMel's answers (Davis and Mermelstein, IEEE TASSP 28(4), 1980).

c[k] = sum over band m of D[k, m] (ln(energy[m] + floor) - mean) / std, D the orthonormal DCT-II:
D[k, m] = sqrt(2 / mels) cos(pi k (m + 1/2) / mels), for k = 0 that over sqrt(2). On the
device LogMel's logarithms in Q15 times D in Q15, summed in 64 bits and rounded once to Q15.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgeq.ops import log_mel
from edgeq.ops.fixed_point import requantize
from edgeq.ops.log_mel import LogMel
from edgeq.ops.op import (
    Accumulator,
    Array,
    Call,
    Fields,
    Io,
    Lowered,
    Params,
    Pointer,
    Role,
    Site,
    quant_of,
)

COSINE_BITS = 15


@dataclass(frozen=True)
class Mfcc(LogMel):
    """`coefficients`: the first so many of `mels`, number 0, which is loudness, among them."""

    coefficients: int = 13

    @property
    def features(self) -> int:
        """Of a frame."""
        return self.coefficients

    @property
    def cosines(self) -> Array:
        """D (coefficients, mels)."""
        k, band = np.arange(self.coefficients)[:, None], np.arange(self.mels)
        made = np.cos(math.pi * k * (band + 0.5) / self.mels) * math.sqrt(2 / self.mels)
        return np.asarray(np.where(k == 0, made / math.sqrt(2), made))

    def check(self) -> None:
        """Raises ValueError for what has no kernel, naming what is allowed."""
        super().check()
        if not 1 <= self.coefficients <= self.mels:
            raise ValueError(f"{self.coefficients} coefficients; give 1 to the mels, {self.mels}")


def _float_forward(attrs: Mfcc, x: tuple[Array, ...], params: Params) -> Array:
    made = log_mel.float_logs(attrs, x[0]) @ attrs.cosines.T
    return log_mel.shaped(attrs, x[0], made).astype(np.float32)


def _reference(attrs: Mfcc, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    sums = log_mel.logs(attrs, x[0], params) @ params["cosines"].astype(np.int64).T
    rounded = (sums + (1 << (COSINE_BITS - 1))) >> COSINE_BITS
    numbers = params["multiplier"][0], params["shift"][0], quant_of(io.output).zero_point
    return log_mel.shaped(attrs, x[0], requantize(rounded, *numbers, -128, 127))


def _lower(site: Site) -> Lowered:
    values, types = log_mel.lower(site)
    codes = np.round(site.node.attrs.cosines * 2**COSINE_BITS)
    cosines = np.minimum(codes, 2**COSINE_BITS - 1).astype(np.int16)
    return Lowered({**values, "cosines": cosines}, types)


def _accumulators(site: Site) -> tuple[Accumulator, ...]:
    """Of the rounded sums."""
    most = np.abs(site.param("cosines").astype(np.int64)).sum(axis=1).max()
    reach = (log_mel.log_reach(site) * most >> COSINE_BITS) + 1
    return (Accumulator(reach, site.param("multiplier"), site.param("shift")),)


def _macs(attrs: Mfcc, io: Io, params: Mapping[str, Any]) -> int:
    frames = int(io.output.size // attrs.features)
    return log_mel.macs(attrs, io, params) + frames * attrs.mels * attrs.coefficients


def _fields(site: Site) -> Fields:
    own = tuple((f"log_mel.{name}", value) for name, value in log_mel.fields(site))
    return (*own, ("cosines", Pointer("cosines")), ("coefficients", site.node.attrs.coefficients))


OP = replace(
    log_mel.OP,
    name="Mfcc",
    attrs=Mfcc,
    float_forward=_float_forward,
    reference=_reference,
    macs=_macs,
    roles=lambda _: (*log_mel.ROLES, Role("cosines", "int16")),
    lower=_lower,
    accumulators=_accumulators,
    code=Call("Mfcc", "edgeq_mfcc_params", _fields),
)
