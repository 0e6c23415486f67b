"""What faults are planted into: each row of KERNELS with its headers, each emitter module."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edgeq.kernels import KERNELS, Kernel
from tests.mutation.draw import in_turns
from tests.mutation.fault import Fault
from tests.mutation.kernel_trial import KernelTrial, kernel_faults, kernel_texts
from tests.mutation.outcome import Outcome

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
        names = sorted({*self.kernel.sources, *self.kernel.headers})
        return digest_of({name: texts[name] for name in names})

    def trial(self, folder: Path) -> Trial:
        return KernelTrial(self.kernel, folder)


def digest_of(texts: Mapping[str, str]) -> str:
    whole = hashlib.sha256()
    for name, text in texts.items():
        whole.update(f"{name}\0{text}\0".encode())
    return whole.hexdigest()[:16]


UNITS: dict[str, Unit] = {kernel.name: KernelUnit(kernel) for kernel in KERNELS}


def plant(unit: Unit, folder: Path, seed: int, per_unit: int) -> dict[str, dict[str, Any]]:
    """Faults of the unit by id until `per_unit` ran: kind, outcome, why and the changed line.

    Those of which the compiler makes the same code are none and not recorded.
    """
    trial, said, ran = unit.trial(folder), dict[str, dict[str, Any]](), 0
    for fault in in_turns(unit.faults(), f"{seed}/{unit.name}"):
        if ran >= per_unit:
            break
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
