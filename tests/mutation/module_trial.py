"""Imports edgeq with a fault in one module and asks for everything that the module makes."""

import ctypes
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.kernels import host_kernels
from tests.mutation.fault import Fault
from tests.mutation.outcome import Outcome, in_a_child
from tests.mutation.python_faults import python_faults

ROOT = Path(__file__).parents[2]
CPU_SECONDS = 20
OPTIMIZE = ("-std=c99", "-O1", "-fPIC")
INCLUDE = ("-I.", "-Ikernels")
FIRMWARE = "tests.unit.emit.test_firmware"


@cache
def _shared() -> "tempfile.TemporaryDirectory[str]":
    """For objects that all trials of this process share."""
    return tempfile.TemporaryDirectory(prefix="edgeq-mutation-")


class Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from another text."""

    def __init__(self, name: str, path: Path, text: str) -> None:
        self.name, self.path, self.text = name, path, text

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        package = self.path.name == "__init__.py"
        return importlib.util.spec_from_loader(
            name, self, origin=str(self.path), is_package=package
        )

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self.path)
        exec(compile(self.text, str(self.path), "exec"), module.__dict__)  # our own text


def start_over(planted: Planted) -> None:
    """Every module of edgeq and of its tests is imported again, one of them changed."""
    for name in list(sys.modules):
        if name.split(".")[0] in ("edgeq", "tests") and not name.startswith("tests.mutation"):
            del sys.modules[name]
    sys.meta_path.insert(0, planted)


class ModuleTrial:
    """One module. Kernels are built once; cases and models are made anew with the fault."""

    def __init__(self, file: str, rows: Sequence[str], tests: Sequence[str], folder: Path) -> None:
        """rows: kernels whose cases the module makes; tests: files that pytest runs behind them."""
        self.file, self.rows, self.tests, self.folder = file, rows, tests, folder
        self.shared = Path(_shared().name)
        self.texts = {file: (ROOT / file).read_text(encoding="utf-8")}
        self.name = file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        self.emits = "emit" in file or file == "edgeq/weights.py"
        self._build()
        self.before: dict[str, dict[str, bytes]] = {}
        outcome, why = self._try(self.texts[file])
        assert outcome is Outcome.SURVIVED, why  # the unchanged module answers, all models built
        if self.emits:
            self.before = dict(_model_files())

    def faults(self) -> list[Fault]:
        return python_faults(self.file, self.texts[self.file])

    def _build(self) -> None:
        if (self.shared / "kernels.so").exists():
            return
        names = [str(path) for path in sorted(host_kernels.FOLDER.glob("*.c"))]
        include = f"-I{host_kernels.FOLDER}"
        _run([["gcc", *OPTIMIZE, "-shared", include, *names, "-o", "kernels.so"]], self.shared)

    def outcome(self, fault: Fault) -> tuple[Outcome, str]:
        """What becomes of edgeq with the fault in it."""
        text = fault.apply(self.texts[fault.file])
        try:
            same = compile(text, "", "exec") == compile(self.texts[fault.file], "", "exec")
        except SyntaxError as error:
            return Outcome.REFUSED, str(error)
        return (Outcome.IDENTICAL, "") if same else self._try(text)

    def _try(self, text: str) -> tuple[Outcome, str]:
        planted = Planted(self.name, ROOT / self.file, text)
        steps: list[Callable[[], None]] = [self._cases] if self.rows else []
        if self.tests:
            steps.append(self._tests)
        if self.emits:
            steps.append(self._models)
        for step in steps:
            said = in_a_child(lambda step=step: (start_over(planted), step())[1], CPU_SECONDS)
            if said[0] is not Outcome.SURVIVED:
                return said
        return said

    def _cases(self) -> None:
        """The differential cases, on kernels without a fault."""
        host = importlib.import_module("tests.kernels.differential.host")
        table = importlib.import_module("tests.kernels.differential.table")
        runner = host.Host(ctypes.CDLL(str(self.shared / "kernels.so")))
        for name in self.rows:
            for case in table.DIFFERENTIAL[name]():
                runner.run(case)

    def _models(self) -> None:
        """Whole models whose text changed: built, run, and held to the reference."""
        firmware = importlib.import_module(FIRMWARE)
        factory = importlib.import_module("tests.factory")
        for name, files in _model_files():
            if files == self.before.get(name):
                continue
            graph = _graph(firmware, name)
            x = factory.input_rows(np.random.default_rng(1), graph, 100)
            program = self._program(firmware, files)
            firmware.assert_equals_reference(graph, firmware.answers(program, graph, x), x)

    def _program(self, firmware: ModuleType, files: dict[str, bytes]) -> Path:
        folder = self.folder / "firmware"
        shutil.rmtree(folder, ignore_errors=True)
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        (folder / "driver.c").write_text(firmware.DRIVER)
        models = [n for n in files if n.startswith("model/") and n.endswith(".c")]
        warnings = [
            *firmware.WARNINGS,
            "-fsanitize=undefined",
            "-fsanitize-undefined-trap-on-error",
        ]
        kernels = self._kernel_objects(files, folder)
        command = ["gcc", "-std=c99", *warnings, *INCLUDE, "driver.c", *models, *kernels]
        _run([[*command, "-o", "driver"]], folder)
        return folder / "driver"

    def _kernel_objects(self, files: dict[str, bytes], folder: Path) -> list[str]:
        """Those of the project's kernels; each is compiled once for one text of it and headers."""
        kernels = {n: d for n, d in sorted(files.items()) if n.startswith("kernels/")}
        headers = b"".join(d for n, d in kernels.items() if n.endswith(".h"))
        objects = []
        for name in (n for n in kernels if n.endswith(".c")):
            digest = hashlib.sha256(kernels[name] + headers).hexdigest()[:24]
            kept = self.shared / f"{Path(name).stem}-{digest}.o"
            if not kept.exists():
                _run([["gcc", *OPTIMIZE, *INCLUDE, "-c", name, "-o", str(kept)]], folder)
            objects.append(str(kept))
        return objects

    def _tests(self) -> None:
        """What else `make test` runs on it, but for what the two other steps run."""
        options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", "--no-header"]
        options += [
            "-m",
            "not full",
            "-k",
            "not compiled and not layers_that_ran and not gate_cycles",
        ]
        code = pytest.main([*options, *(str(ROOT / name) for name in self.tests)])
        if code != 0:
            raise AssertionError(f"pytest: {code!r}")


MODELS = tuple(
    f"{name} {features}"
    for name in ("fc_all_formats", "conv", "precision_prior", "top_2", "escalation", "behind")
    for features in ("plain", "dsp")
)


def _graph(firmware: ModuleType, name: str) -> object:
    graph, features = name.split()
    return firmware.select_kernels(
        firmware.GRAPHS[graph](), frozenset({"dsp"} if features == "dsp" else ())
    )


def _model_files() -> list[tuple[str, dict[str, bytes]]]:
    """The generated files of models of every kind, by name."""
    firmware = importlib.import_module(FIRMWARE)
    found = []
    for name in MODELS:
        files = firmware.project_of(_graph(firmware, name)).files
        written = ("model/", "kernels/")  # what a model's C includes comes with it
        kept = {p: d for p, d in files.items() if p.startswith(written)}
        found.append((name, kept))
    return found


def _run(commands: Sequence[Sequence[str]], folder: Path) -> None:
    for command in commands:
        run = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=300, check=False
        )
        assert run.returncode == 0, run.stderr
