"""What faults are planted into: each row of KERNELS with its headers, each emitter module."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edgeq.kernels import KERNELS, Kernel
from edgeq.kernels.table import DSP, V6M
from tests.mutation.draw import in_turns
from tests.mutation.fault import Fault
from tests.mutation.kernel_trial import KernelTrial, kernel_faults, kernel_texts
from tests.mutation.module_trial import ROOT, ModuleTrial
from tests.mutation.outcome import Outcome
from tests.mutation.python_faults import python_faults

RAN = (Outcome.KILLED, Outcome.TIMEOUT, Outcome.SURVIVED)


class Trial(Protocol):
    """A unit built without a fault, in a folder of its own."""

    texts: dict[str, str]

    def outcome(self, fault: Fault) -> tuple[Outcome, str]: ...


class Unit(Protocol):
    name: str

    def faults(self) -> list[Fault]:
        """All there are."""
        ...

    def digest(self) -> str:
        """Of the texts that faults are planted into."""
        ...

    def trial(self, folder: Path) -> Trial: ...


@dataclass(frozen=True)
class KernelUnit:
    """A row of the kernel table."""

    kernel: Kernel

    @property
    def name(self) -> str:
        return self.kernel.name

    def faults(self) -> list[Fault]:
        return kernel_faults(self.kernel, kernel_texts())

    def digest(self) -> str:
        texts = kernel_texts()
        names = {fault.file for fault in self.faults()}  # a header of declarations has none
        return digest_of({name: texts[name] for name in sorted(names)})

    def trial(self, folder: Path) -> Trial:
        return KernelTrial(self.kernel, folder)


def digest_of(texts: Mapping[str, str]) -> str:
    whole = hashlib.sha256()
    for name, text in texts.items():
        whole.update(f"{name}\0{text}\0".encode())
    return whole.hexdigest()[:16]


@dataclass(frozen=True)
class ModuleUnit:
    """A module that lays out weights or writes C.

    rows: the kernels whose differential cases it makes; tests: what else tests it.
    """

    file: str
    rows: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.file

    def _texts(self) -> dict[str, str]:
        return {self.file: (ROOT / self.file).read_text(encoding="utf-8")}

    def faults(self) -> list[Fault]:
        return python_faults(self.file, self._texts()[self.file])

    def digest(self) -> str:
        return digest_of(self._texts())

    def trial(self, folder: Path) -> Trial:
        return ModuleTrial(self.file, self.rows, self.tests, folder)


def _rows(*parts: str) -> tuple[str, ...]:
    """Names of the kernels that end in one of these."""
    return tuple(k.name for k in KERNELS if k.name.endswith(parts))


STREAMS, EMIT = "edgeq/kernels/streams", "edgeq/emit"
_FIRMWARE = ("tests/unit/emit/test_firmware.py", "tests/unit/emit/test_goldens.py")
_TABLE = ("tests/unit/kernels/test_table.py",)
_WEIGHTS = ("tests/unit/test_weights.py",)


def _emitter(name: str, *, own: bool = True) -> ModuleUnit:
    """A module of edgeq/emit; own: it has a file of tests besides the firmware's."""
    tests = (f"tests/unit/emit/test_{name}.py",) if own else ()
    return ModuleUnit(f"{EMIT}/{name}.py", (), (*tests, *_FIRMWARE))


def _form(name: str, tests: str) -> ModuleUnit:
    """A module that writes another form than C."""
    return ModuleUnit(f"{EMIT}/{name}.py", (), (f"tests/unit/emit/{tests}.py",))


MODULES = (
    ModuleUnit(
        "edgeq/kernels/packing.py",
        (*(k.name for k in KERNELS if k.weight and not k.stream), "edgeq_router_s8"),
        ("tests/unit/kernels/test_packing.py",),
    ),
    ModuleUnit(
        f"{STREAMS}/convolutions.py",
        tuple(k.name for k in KERNELS if "conv" in k.name and k.isa == DSP),
        _TABLE,
    ),
    ModuleUnit(
        f"{STREAMS}/block_rows.py",
        tuple(k.name for k in KERNELS if k.op == "BlockFullyConnected" and k.isa == DSP),
    ),
    ModuleUnit(f"{STREAMS}/block_cells.py", _rows("_cells_dsp"), _TABLE),
    ModuleUnit(f"{STREAMS}/lanes.py", _rows("_v6m"), _TABLE),
    ModuleUnit(
        f"{STREAMS}/patch_pairs.py",
        tuple(k.name for k in KERNELS if k.op == "Conv2D" and k.isa == V6M),
        _TABLE,
    ),
    ModuleUnit(
        f"{STREAMS}/lines.py",
        tuple(k.name for k in KERNELS if k.op == "DepthwiseConv2D" and k.isa == V6M),
        _TABLE,
    ),
    ModuleUnit(
        f"{STREAMS}/row_groups.py",
        _rows("s16_dsp", "s8_s8_dsp", "s4_dsp", "s3_dsp"),
        (*_TABLE, "tests/unit/kernels/test_row_groups.py"),
    ),
    ModuleUnit(f"{STREAMS}/stream.py", _rows("_dsp", "_v6m", "_t5"), (*_TABLE, *_WEIGHTS)),
    ModuleUnit(f"{STREAMS}/trits.py", _rows("_t5"), _TABLE),
    ModuleUnit(f"{STREAMS}/two_rows.py", _rows("s8_s2_dsp", "s8_t2_dsp", "s8_b1_dsp"), _TABLE),
    ModuleUnit("edgeq/weights.py", (), _WEIGHTS),
    _emitter("arena_map"),
    _emitter("c_literals"),
    ModuleUnit(
        f"{EMIT}/firmware.py",
        (),
        (*_FIRMWARE, *(f"tests/unit/emit/test_firmware_{n}.py" for n in ("bands", "parts"))),
    ),
    _emitter("firmware_arrays"),
    _emitter("firmware_bands"),
    ModuleUnit(
        f"{EMIT}/firmware_calls.py",
        (),
        (
            "tests/unit/emit/test_firmware_calls.py",
            "tests/unit/emit/test_firmware_bands.py",
            "tests/unit/emit/test_firmware_parts.py",
            *_FIRMWARE,
        ),
    ),
    _emitter("firmware_header"),
    _emitter("firmware_layers"),
    _emitter("firmware_params", own=False),
    _emitter("firmware_parts"),
    _emitter("firmware_ports"),
    _emitter("firmware_state"),
    _emitter("initialiser"),
    _emitter("kernel_version"),
    _form("onnx_mixture", "test_onnx_model"),
)
UNITS: dict[str, Unit] = {
    **{kernel.name: KernelUnit(kernel) for kernel in KERNELS},
    **{module.file: module for module in MODULES},
}


def plant(
    unit: Unit, folder: Path, seed: int, per_unit: int, known: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """Faults of the unit by id until `per_unit` ran: kind, outcome, why and the changed line.

    Those of which the compiler makes the same code are none and not recorded. known: equivalents
    of headers that another unit's record has already.
    """
    trial, said, ran = unit.trial(folder), dict[str, dict[str, Any]](), 0
    for fault in in_turns(unit.faults(), f"{seed}/{unit.name}"):
        if ran >= per_unit:
            break
        if fault.id in known:
            continue
        outcome, why = trial.outcome(fault)
        if outcome is Outcome.IDENTICAL:
            continue
        ran += outcome in RAN
        said[fault.id] = {
            "kind": fault.edit.kind,
            "outcome": str(outcome),
            "why": why.splitlines()[0][:90] if why else "",
            "shown": fault.shown(trial.texts[fault.file])[:240],
        }
    return said
