"""Compiles a kernel with a fault in it and runs the differential cases of its row."""

import ctypes
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeq.errors import EdgeqError
from edgeq.kernels import Kernel
from edgeq.kernels.table import MVE
from edgeq.sim import GuestFault
from edgeq.toolchain import find_compiler
from tests.kernels import cross_kernels, host_kernels
from tests.kernels.differential import fixed_point
from tests.kernels.differential.case import Case
from tests.kernels.differential.core import OnCore
from tests.kernels.differential.host import Host
from tests.kernels.differential.table import DIFFERENTIAL, in_assembly
from tests.kernels.dsp.core import Core
from tests.kernels.mve import machine
from tests.mutation.c_faults import c_faults
from tests.mutation.fault import Fault
from tests.mutation.outcome import Outcome, in_a_child

CPU_SECONDS = 10  # of one mutant's run
QEMU_S = 20.0
M55 = "m55"
M55_FLAGS = ("-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard", "-mfpu=auto")
TRAP = ("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
HOST = (*host_kernels.FLAGS, *TRAP)
INCLUDE = re.compile(r'#include "([^"]+)"')
LINKER_SCRIPT = Path(host_kernels.__file__).parent / "constant_time.ld"
MEMORY_C = host_kernels.FOLDER.parent / "runtime" / "memory.c"


@dataclass(frozen=True)
class Build:
    """Objects of one compiler: "host", "core" or "m55", which QEMU runs."""

    name: str
    compile: tuple[str, ...]
    link: tuple[str, ...]
    linked: str


def builds(kernel: Kernel) -> tuple[Build, ...]:
    """The host's, and the core's for kernels with assembly. Skips without the compilers."""
    host = Build("host", ("gcc", *HOST), ("gcc", "-shared"), "kernels.so")
    if kernel.isa == MVE:
        gcc = (cross_kernels.command("gcc")[0], *M55_FLAGS)
        compiled = (*gcc, *cross_kernels.FLAGS, "-fno-builtin")
        return host, Build(M55, compiled, (), "")
    if not in_assembly(kernel):
        return (host,)
    command = cross_kernels.command("gcc")
    compiled = (*command, *cross_kernels.FLAGS, "-fno-builtin")
    script = ("-nostdlib", f"-Wl,-T,{LINKER_SCRIPT}", f"-Wl,-e,{kernel.name}")
    return host, Build("core", compiled, (*command, *script), "kernels.elf")


def roots(kernel: Kernel) -> tuple[str, ...]:
    """The functions of a row."""
    more = ("edgeq_gate_start_s8", "edgeq_gate_accumulate_s8") if kernel.op == "Gate" else ()
    shared = ("edgeq_softmax_q15_of",) if "edgeq_softmax_q15.c" in kernel.sources else ()
    return (kernel.name, *more, *shared)


def kernel_faults(kernel: Kernel, texts: dict[str, str]) -> list[Fault]:
    """All that the rules plant into what the row's functions need; texts: the folder's files."""
    own = {name: texts[name] for name in (*kernel.sources, *kernel.headers)}
    return c_faults(own, roots(kernel))


def kernel_texts() -> dict[str, str]:
    """The files of firmware_templates/kernels by name."""
    return {
        p.name: p.read_text(encoding="utf-8") for p in sorted(host_kernels.FOLDER.glob("*.[ch]"))
    }


class KernelTrial:
    """One row in a folder of its own, built without a fault and ready for faults."""

    def __init__(self, kernel: Kernel, folder: Path) -> None:
        self.kernel, self.folder, self.texts = kernel, folder, kernel_texts()
        self.cases: Sequence[Case] = tuple(DIFFERENTIAL[kernel.name]())
        self.builds = builds(kernel)
        self.objects: dict[tuple[str, str], bytes] = {}
        for name in (*kernel.sources, *kernel.headers):
            (folder / name).write_text(self.texts[name], encoding="utf-8")
        shutil.copy(MEMORY_C, folder / "memory.c")
        for build in self.builds:
            self._prepare(build)
        self.cycles = self._most_cycles()

    def faults(self) -> list[Fault]:
        return kernel_faults(self.kernel, self.texts)

    def _prepare(self, build: Build) -> None:
        extra = ("memory.c",) if build.name == "core" else ()
        for source in (*self.kernel.sources, *extra):
            flags = (f"-I{MEMORY_C.parent}",) if source == "memory.c" else ()
            made = self._compile(build, source, *flags)
            assert made is None, made
            self.objects[build.name, source] = self._object(build, source).read_bytes()
        if build.name == M55:
            return self._in_qemu()
        self._link(build)
        for case in self.cases:
            self._run_on(build, None).run(case)  # the unchanged kernel answers
        return None

    def _object(self, build: Build, source: str) -> Path:
        return self.folder / f"{build.name}-{source}.o"

    def _compile(self, build: Build, source: str, *flags: str) -> str | None:
        """None, or what the compiler said."""
        out = self._object(build, source).name
        command = [*build.compile, *flags, "-I.", "-c", source, "-o", out]
        run = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=300, check=False
        )
        return None if run.returncode == 0 else run.stderr

    def _link(self, build: Build) -> None:
        objects = [str(p.name) for p in sorted(self.folder.glob(f"{build.name}-*.o"))]
        command = [*build.link, *objects, "-o", build.linked]
        if build.name == "core":
            command.append("-lgcc")
        run = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=300, check=False
        )
        assert run.returncode == 0, run.stderr

    def _run_on(self, build: Build, max_cycles: int | None) -> Host | OnCore:
        file = self.folder / build.linked
        if build.name == "core":
            return OnCore(Core(file), *([max_cycles] if max_cycles else []))
        unique = file.with_name(f"kernels-{os.getpid()}-{file.stat().st_mtime_ns}.so")
        os.link(file, unique)  # the loader keeps one library a name
        library = ctypes.CDLL(str(unique))
        unique.unlink()
        return Host(library)

    def _most_cycles(self) -> int:
        """Of a case on the core without a fault; what a mutant may take rests on it."""
        return 4 * 50_000_000 if len(self.builds) == 1 else 20_000_000

    def outcome(self, fault: Fault) -> tuple[Outcome, str]:
        """What becomes of the row with the fault in it. The folder is as before afterwards."""
        path = self.folder / fault.file
        path.write_text(fault.apply(self.texts[fault.file]), encoding="utf-8")
        try:
            results = self._results(fault)
        finally:
            path.write_text(self.texts[fault.file], encoding="utf-8")
            for (name, source), data in self.objects.items():
                (self.folder / f"{name}-{source}.o").write_bytes(data)
        for wanted in (Outcome.REFUSED, Outcome.KILLED, Outcome.TIMEOUT, Outcome.SURVIVED):
            for outcome, why in results:
                if outcome is wanted:
                    return outcome, why
        return Outcome.IDENTICAL, ""

    def _results(self, fault: Fault) -> list[tuple[Outcome, str]]:
        """Of the builds up to the first that settles it."""
        results: list[tuple[Outcome, str]] = []
        for build in self.builds:
            results.append(self._on(build, fault))
            if results[-1][0] not in (Outcome.SURVIVED, Outcome.IDENTICAL):
                break
        return results

    def _on(self, build: Build, fault: Fault) -> tuple[Outcome, str]:
        changed = False
        for source in self.kernel.sources:
            if fault.file != source and fault.file not in self._included(source):
                continue
            said = self._compile(build, source)
            if said is not None:
                return Outcome.REFUSED, next((x for x in said.splitlines() if "error" in x), said)
            made = self._object(build, source).read_bytes()
            changed |= made != self.objects[build.name, source]
        if not changed:
            return Outcome.IDENTICAL, ""
        if build.name != M55:
            self._link(build)
        said = in_a_child(lambda: self._answers(build), CPU_SECONDS)
        if said[0] is Outcome.SURVIVED and fault.file in fixed_point.FILES and build.name == "host":
            return self._on_its_functions(build)
        return said

    def _on_its_functions(self, build: Build) -> tuple[Outcome, str]:
        """The header's inline functions, called one by one."""
        for name in fixed_point.FILES:
            if not (self.folder / name).exists():
                (self.folder / name).write_text(self.texts[name], encoding="utf-8")
        (self.folder / "exports.c").write_text(fixed_point.EXPORTS, encoding="utf-8")
        command = [*build.compile, "-I.", "exports.c", "-o", "exports.so"]
        subprocess.run(command, cwd=self.folder, timeout=300, check=True)

        def answers() -> None:
            runner = Host(ctypes.CDLL(str(self.folder / "exports.so")))
            for case in fixed_point.fixed_point_cases():
                runner.run(case)

        return in_a_child(answers, CPU_SECONDS)

    def _in_qemu(self) -> None:
        """The folder's sources on QEMU's Cortex-M55."""
        place = self.folder / M55
        place.mkdir(exist_ok=True)
        linked = machine.link(find_compiler("gcc"), [self.kernel.name], place, self.folder)
        try:
            machine.run(linked, self.cases, place, QEMU_S)
        except subprocess.TimeoutExpired as late:
            raise TimeoutError(str(late)) from None

    def _answers(self, build: Build) -> None:
        if build.name == M55:
            return self._in_qemu()
        runner = self._run_on(build, self.cycles)
        for case in self.cases:
            try:
                runner.run(case)
            except GuestFault as fault:
                if "cycles" in str(fault) or "loop" in str(fault):
                    raise TimeoutError(str(fault)) from None
                raise
            except EdgeqError as error:
                raise AssertionError(str(error)) from None
        return None

    def _included(self, source: str) -> set[str]:
        direct = set(INCLUDE.findall(self.texts[source]))
        return direct.union(*(self._included(name) for name in direct))
