"""Pcen: mel energies normalised by what each band was lately (Wang et al., 2017, arXiv 1607.05666).

M[t] = (1 - smooth) M[t - 1] + smooth E[t], from the first frame's energy on, and
y = ((E / (floor + M)^alpha + delta)^root - delta^root - mean) / std. E is what LogMel takes the
logarithm of. A window begins anew; PcenStep (ops/carried.py) goes on from row to row. The floor is
smoothed with the energy, which is the same as adding it behind.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgeq.ops import log_mel
from edgeq.ops.fixed_point import quantize_multipliers, requantize
from edgeq.ops.log_mel import LogMel
from edgeq.ops.op import (
    Accumulator,
    Array,
    Call,
    Fields,
    Io,
    Lowered,
    Params,
    Place,
    Pointer,
    Role,
    Site,
    quant_of,
    whole_window,
)
from edgeq.ops.pcen_steps import (
    MOST_LOG,
    POWER_BITS,
    SMOOTH_BITS,
    codes_of,
    kept_of,
    normalised,
    power_table,
    smoothed,
)

SUM_BITS = 30  # of what is requantised
OP_MACS = 8  # of a value: what its three logarithms and two powers multiply, and the smoother


@dataclass(frozen=True)
class Pcen(LogMel):
    """`smooth`: the share of a new frame in a band's mean; `alpha`: how much of the loudness goes;
    `delta`, `root`: offset and power of what stays. `floor` is the paper's epsilon.
    """

    smooth: float = 0.025
    alpha: float = 0.98
    delta: float = 2.0
    root: float = 0.5

    @property
    def lift(self) -> float:
        """What is taken from the power."""
        return float(self.delta**self.root)

    def check(self) -> None:
        """Raises ValueError for what has no kernel, naming what is allowed."""
        super().check()
        for name, least, most in (("smooth", 1e-3, 1.0), ("delta", 1e-3, 1e3), ("root", 0.05, 1.0)):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} {getattr(self, name):g}; give {least:g} to {most:g}")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha {self.alpha:g}; give 0 to 1")

    def weights(self, frames: int) -> Array:
        """(frames, frames): of the energies so far in each frame's mean."""
        age = np.subtract.outer(np.arange(frames), np.arange(frames))
        whole = np.where(age >= 0, self.smooth * (1 - self.smooth) ** np.maximum(age, 0), 0.0)
        whole[:, 0] = (1 - self.smooth) ** np.arange(frames)
        return whole


def real(attrs: Pcen, energies: Array, frames: int) -> Array:
    """Of sequences of energies (sequences * frames, mels), float64."""
    each = energies.reshape(-1, frames, attrs.mels)
    kept = attrs.weights(frames) @ (each + attrs.floor)
    made = (each / kept**attrs.alpha + attrs.delta) ** attrs.root
    return ((made - attrs.lift - attrs.mean) / attrs.std).reshape(-1, attrs.mels)


def _float_forward(attrs: Pcen, x: tuple[Array, ...], params: Params) -> Array:
    energies, frames = log_mel.float_energies(attrs, x[0]), attrs.frames(x[0][0].size)
    return log_mel.shaped(attrs, x[0], real(attrs, energies, frames)).astype(np.float32)


def _smoothed_frames(attrs: Pcen, energies: Array, params: Params, before: Array) -> Array:
    """(frames, ..., mels) of energies of frames that follow on `before` (..., mels)."""
    kept = []
    for energy in energies + params["floor"][0]:
        before = smoothed(before, energy, int(params["smooth"][0]))
        kept.append(before)
    return np.stack(kept)


def _answers(attrs: Pcen, io: Io, energies: Array, kept: Array, params: Params) -> Array:
    """int8 of energies of any shape and their smoothed ones."""
    names = ("offset", "alpha", "delta", "root", "most", "lift", "down")
    numbers = {name: int(params[name][0]) for name in names}
    made = normalised(energies, kept, numbers, params["log_table"], params["power_table"])
    codes = params["multiplier"][0], params["shift"][0], quant_of(io.output).zero_point
    return requantize(made, *codes, -128, 127)


def _reference(attrs: Pcen, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    found = log_mel.energies(attrs, x[0], params)
    each = found.reshape(len(x[0]), -1, attrs.mels).swapaxes(0, 1)
    kept = _smoothed_frames(attrs, each, params, np.zeros_like(each[0]))
    made = _answers(attrs, io, each, kept, params).swapaxes(0, 1)
    return log_mel.shaped(attrs, x[0], made)


def run_from(attrs: Pcen, io: Io, x: Array, params: Params, state: Array) -> tuple[Array, Array]:
    """One row from a state (PARTS, mels), codes: its answers, and the state behind it."""
    found = log_mel.energies(attrs, x, params)
    kept = _smoothed_frames(attrs, found, params, kept_of(state))
    made = _answers(attrs, io, found, kept, params)
    return log_mel.shaped(attrs, x, made), codes_of(kept[-1])


def float_steps(attrs: Pcen, x: Array, wait: int) -> Array:
    """Rows that follow on one another, the first `wait` of which begin anew each."""
    energies, frames = log_mel.float_energies(attrs, x), attrs.frames(x[0].size)
    waiting, heard = energies[: wait * frames], energies[wait * frames :]
    made = [real(attrs, waiting, frames)] if len(waiting) else []
    made += [real(attrs, heard, len(heard))] if len(heard) else []
    return log_mel.shaped(attrs, x, np.concatenate(made)).astype(np.float32)


def _lower(site: Site) -> Lowered:
    attrs: Pcen = site.node.attrs
    values, types = log_mel.lower(site)
    span = attrs.std * site.output_quant.per_tensor  # of a step, of the power
    reach = abs(attrs.lift + attrs.mean) + 256 * span
    octaves = math.ceil(math.log2(reach))
    down = max(0, octaves + 1 + POWER_BITS - SUM_BITS)
    multiplier, shift = quantize_multipliers([2.0 ** (down - POWER_BITS) / span])
    offset = 2**15 * (1 - attrs.alpha) * math.log2(attrs.gain)
    whole = {
        "offset": round(offset),
        "smooth": round(attrs.smooth * 2**SMOOTH_BITS),
        "alpha": round(attrs.alpha * 2**30),
        "root": round(attrs.root * 2**30),
        "most": min(octaves, MOST_LOG) << 15,
        "down": down,
    }
    long = {
        "delta": round(attrs.delta * 2**POWER_BITS),
        "lift": round((attrs.lift + attrs.mean) * 2**POWER_BITS),
    }
    return Lowered(
        {
            **values,
            **{name: np.array([value], np.int32) for name, value in whole.items()},
            **{name: np.array([value], np.int64) for name, value in long.items()},
            "power_table": power_table(),
            "multiplier": multiplier,
            "shift": shift.astype(np.int32),
        },
        types,
    )


def _accumulators(site: Site) -> tuple[Accumulator, ...]:
    """Of the power less the lift; `down` keeps it inside."""
    reach = np.array([1 << SUM_BITS])
    return (Accumulator(reach, site.param("multiplier"), site.param("shift")),)


def _macs(attrs: Pcen, io: Io, params: Mapping[str, Any]) -> int:
    return log_mel.macs(attrs, io, params) + OP_MACS * int(io.output.size)


_LONG, _NUMBERS = ("delta", "lift"), ("smooth", "alpha", "root", "most", "down")


def _fields(site: Site) -> Fields:
    own = tuple((f"log_mel.{name}", value) for name, value in log_mel.fields(site))
    return (
        *own,
        ("power_table", Pointer("power_table")),
        *((name, site.param(name)[0]) for name in _LONG),
        *((name, site.number(name)) for name in _NUMBERS),
    )


OP = replace(
    log_mel.OP,
    name="Pcen",
    attrs=Pcen,
    float_forward=_float_forward,
    reference=_reference,
    macs=_macs,
    roles=lambda _: (
        *log_mel.ROLES,
        Role("power_table", "uint16"),
        *(Role(name, "int64", Place.INLINE) for name in _LONG),
        *(Role(name, "int32", Place.INLINE) for name in _NUMBERS),
    ),
    lower=_lower,
    accumulators=_accumulators,
    reach=whole_window,
    code=Call("Pcen", "edgeq_pcen_params", _fields),
)
