"""`pip install edgeq` without extras: what works, and the error that names what lacks.

The extras are hidden from the processes that run here; the venv of its own, with sizes and start
times, is `python -m tests.install`.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from edgeq import extras
from edgeq.errors import BadInput, Toolchain
from edgeq.harness.record import SampleRecord
from edgeq.harness.trace_part import read_part, write_part
from tests.hang import HANG_S
from tests.hidden import ROOT, hiding
from tests.tiny_export import tiny_export

MODULES = {"ai-edge-litert": "ai_edge_litert"}
HIDDEN = sorted({module for modules in extras.EXTRAS.values() for module in modules})


class Base:
    """edgeq where no extra is found."""

    def __init__(self, folder: Path, *hidden: str) -> None:
        self.environment = {**os.environ, **hiding(folder, *(hidden or HIDDEN))}

    def python(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Runs `python WORDS`."""
        command = [sys.executable, *map(str, words)]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=HANG_S
        )

    def said(self, *words: object) -> dict[str, object]:
        """What `edgeq WORDS --json` says."""
        run = self.python("-m", "edgeq", *words, "--json")
        assert run.returncode == 0, run.stderr
        found: dict[str, object] = json.loads(run.stdout)
        return found

    def refused(self, *words: object) -> str:
        """The one line of a command that ends with 7."""
        run = self.python("-m", "edgeq", *words)
        assert run.returncode == 7, (run.stdout, run.stderr)
        assert run.stderr.count("\n") == 1, run.stderr
        return run.stderr


def test_the_extras_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extra, modules in extras.EXTRAS.items():
        names = [Requirement(each).name for each in project["optional-dependencies"][extra]]
        assert tuple(MODULES.get(name, name) for name in names) == modules
    base = {Requirement(each).name for each in project["dependencies"]}
    assert not base & set(HIDDEN)
    everything = "edgeq[export,zig,parquet,report]"
    for extra in ("dev", "examples"):  # `make setup` installs these
        assert everything in project["optional-dependencies"][extra]


@pytest.mark.full
def test_a_board_is_flashed_profiled_and_reported(tmp_path: Path) -> None:
    base, export = Base(tmp_path), tiny_export(tmp_path / "export", 6)
    (cost,) = base.said("estimate", export, "--board", "virtual_m4")["boards"]  # type: ignore[misc]
    assert cost["routes"]
    flashed = base.said("flash", "--board", "virtual_m4", "--firmware", export)
    try:
        lines = tmp_path / "records.jsonl"
        words = ("--port", flashed["port"], "--firmware", export, "--trace", lines)
        profiled = base.said("profile", *words)
    finally:
        base.said("stop", flashed["port"])
    assert profiled["mismatches"] == 0
    assert profiled["samples"] == 6
    run = Path(str(profiled["run"]))
    assert [path.name for path in (run / "records").iterdir()] == ["00000.jsonl"]
    assert (run / "records" / "00000.jsonl").read_bytes() == lines.read_bytes()
    assert base.said("report", export)["runs"]


def test_what_lacks_is_named_with_its_extra(tmp_path: Path) -> None:
    base, folder = Base(tmp_path), tmp_path / "export"
    tiny_export(folder, 2)
    (model := tmp_path / "model.pt").write_bytes(b"")
    assert "pip install 'edgeq[export]'" in base.refused("export", model, "--target", "cortex-m4")
    asked = ("estimate", model, "--board", "virtual_m4")
    assert "the estimate of a model file" in base.refused(*asked)
    assert "pip install 'edgeq[export]'" in base.refused("quantize", model, "--out", "x.pt")
    assert "pip install 'edgeq[export]'" in base.refused("verify", folder)
    assert "pip install 'edgeq[export]'" in base.refused("ops", tmp_path / "net.onnx")
    assert "pip install 'edgeq[report]'" in base.refused("compare", folder, folder)
    parquet = ("profile", "--firmware", folder, "--port", "none", "--parquet", "x.parquet")
    assert "--parquet needs pyarrow, which is not installed" in base.refused(*parquet)
    meter = ("profile", "--firmware", folder, "--port", "none", "--meter", "ppk2")
    assert "pip install 'edgeq[parquet]'" in base.refused(*meter)
    run = base.python("-c", "import edgeq.nn")
    assert "edgeq.nn needs torch" in run.stderr
    assert run.stderr.rstrip().endswith("pip install 'edgeq[export]'")
    run = base.python("-c", "import edgeq; edgeq.from_keras(None)")
    assert "edgeq[export]" in run.stderr


def test_without_any_compiler_zig_is_named(tmp_path: Path) -> None:
    base, folder = Base(tmp_path), tiny_export(tmp_path / "export", 2)
    base.environment["PATH"] = ""
    said = base.refused("flash", "--board", "virtual_m4", "--firmware", folder)
    assert "pip install 'edgeq[zig]'" in said


def test_the_whole_of_base_imports_nothing_of_an_extra(tmp_path: Path) -> None:
    """Modules that do without extras are imported with all of them hidden."""
    free = (
        "profiling",
        "metering",
        "flashers",
        "sim",
        "estimating",
        "reporting.write",
        "diagnosing",
    )
    imports = "; ".join(f"import edgeq.{name}" for name in free)
    run = Base(tmp_path).python("-c", f"import edgeq, edgeq.cli.app; {imports}")
    assert (run.returncode, run.stderr) == (0, "")


def record(index: int) -> SampleRecord:
    return SampleRecord(index, None, (1, -2), 0, 0.5, 0.25, 10, 0, (10,), None)


def test_a_part_of_lines_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeq.harness.trace_part.installed", lambda _: False)
    write_part(tmp_path / "00000", [record(0), record(1)], None)
    path = tmp_path / "00000.jsonl"
    assert read_part(path, None) == [record(0), record(1)]
    whole = path.read_bytes()
    for damaged, said in (
        (whole[:-1], "its last line is cut"),
        (b"[]\n" + whole, "damaged at line 1: a record is a JSON object"),
        (whole.replace(b"0.25", b"NaN"), "line 1: NaN is no number"),
        (whole + b"{}\n", "damaged at line 3"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(BadInput, match=said):
            read_part(path, None)


def test_a_part_that_needs_pyarrow_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_part(tmp_path / "00000", [record(0)], None)
    monkeypatch.setattr(extras, "installed", lambda _: False)
    with pytest.raises(Toolchain, match=re.escape("pip install 'edgeq[parquet]'")):
        read_part(tmp_path / "00000.parquet", None)


def test_what_is_installed_passes() -> None:
    extras.require("export", "a test")
    extras.require("parquet", "a test")
    assert not extras.installed("edgeq_no_such_package")
