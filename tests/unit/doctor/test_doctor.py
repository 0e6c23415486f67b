"""`edgeq doctor` as a process of its own: with everything, and with each piece missing in turn."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgeq.diagnosing import Finding, packages, refuse_errors, tools
from edgeq.diagnosing.text import doctor_text
from edgeq.errors import Link, Toolchain
from tests.hang import HANG_S
from tests.hidden import hiding


@dataclass(frozen=True)
class Told:
    """What the doctor said: its findings by id."""

    code: int
    findings: dict[str, dict[str, Any]]
    stderr: str


def ask(tmp_path: Path, *arguments: str, hide: str = "ziglang") -> Told:
    """Runs `edgeq doctor --json` with no tool on PATH; without zig, which takes seconds."""
    (tmp_path / "empty").mkdir(exist_ok=True)
    env = {
        "PATH": str(tmp_path / "empty"),
        "HOME": str(tmp_path),
        **hiding(tmp_path, *hide.split(",")),
        "XDG_RUNTIME_DIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "edgeq", "doctor", "--json", *arguments]
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=HANG_S, env=env, cwd=tmp_path, check=False
    )
    assert "Traceback" not in run.stderr
    told = json.loads(run.stdout)
    findings = {finding["id"]: finding for finding in told["findings"]}
    assert len(findings) == len(told["findings"]), "two findings of one id"
    assert told["errors"] == sum(f["status"] == "error" for f in findings.values())
    return Told(run.returncode, findings, run.stderr)


def test_a_bare_machine_builds_with_zig_and_lacks_only_tools(tmp_path: Path) -> None:
    told = ask(tmp_path, hide="torch")
    assert told.code == 0, told
    assert told.findings["compiler.zig"]["status"] == "ok"
    assert told.findings["compiler.gcc"]["status"] == "ok"
    assert "compiler.zig is used instead" in told.findings["compiler.gcc"]["found"]
    for name, fix in (
        ("openocd", "apt install openocd"),
        ("dfu_util", "apt install dfu-util"),
        ("bossac", "apt install bossa-cli"),
        ("qemu_system_arm", "apt install qemu-system-arm"),
        ("qemu_system_riscv32", "apt install qemu-system-misc"),
        ("stm32_programmer_cli", "st.com"),
    ):
        assert told.findings[f"tool.{name}"]["status"] == "warning"
        assert fix in told.findings[f"tool.{name}"]["fix"]
    torch = told.findings["package.torch"]
    assert torch["status"] == "ok"
    assert torch["found"] == "not installed; optional: pip install 'edgeq[export]'"


def test_without_any_compiler_it_ends_with_7(tmp_path: Path) -> None:
    told = ask(tmp_path)
    assert told.code == 7
    for kind, fix in (("gcc", "gcc-arm-none-eabi"), ("zig", "pip install 'edgeq[zig]'")):
        finding = told.findings[f"compiler.{kind}"]
        assert finding["status"] == "error"
        assert "nothing can be built" in finding["found"]
        assert fix in finding["fix"]
    assert told.stderr.startswith("edgeq: compiler.gcc, compiler.zig: see")


@pytest.mark.parametrize(
    ("module", "package"), [("unicorn", "unicorn"), ("elftools", "pyelftools")]
)
def test_a_package_that_is_missing_is_an_error(tmp_path: Path, module: str, package: str) -> None:
    told = ask(tmp_path, hide=f"ziglang,{module}")
    finding = told.findings[f"package.{package}"]
    assert (finding["status"], finding["found"]) == ("error", "not installed")
    assert finding["fix"] == f"pip install '{package}'"
    assert told.code == 7


def test_a_package_that_does_not_load_is_said(tmp_path: Path) -> None:
    (tmp_path / "unicorn").mkdir()
    (tmp_path / "unicorn" / "__init__.py").write_text("raise OSError('libunicorn.so.2: not here')")
    finding = ask(tmp_path).findings["package.unicorn"]
    assert finding["status"] == "error"
    assert "does not load: OSError: libunicorn.so.2: not here" in finding["found"]
    assert "--force-reinstall" in finding["fix"]


def test_a_wrong_project_file_is_a_finding(tmp_path: Path) -> None:
    assert ask(tmp_path).findings["project"]["status"] == "ok"
    (tmp_path / "edgeq.toml").write_text("[nowhere]\n")
    finding = ask(tmp_path).findings["project"]
    assert finding["status"] == "error"
    assert "unknown table [nowhere]" in finding["found"]
    assert finding["fix"] == f"edit {tmp_path / 'edgeq.toml'}"


def test_an_extra_that_is_missing_is_no_fault(tmp_path: Path) -> None:
    finding = ask(tmp_path, hide="ziglang,pyocd").findings["package.pyocd"]
    assert finding["status"] == "ok"
    assert "pip install 'edgeq[pyocd]'" in finding["found"]


def test_an_old_package_is_named_with_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.metadata, "version", lambda _name: "0.0.1")
    (finding,) = [f for f in packages.packages() if f.id == "package.numpy"]
    assert finding.status == "warning"
    assert finding.found == "0.0.1, but edgeq needs numpy>=2.0"


def test_edgeq_that_is_not_installed_still_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise packages.metadata.PackageNotFoundError(name)

    for name in ("distribution", "requires"):
        monkeypatch.setattr(packages.metadata, name, absent)
    found = {finding.id: finding for finding in packages.packages()}
    assert found["edgeq"].status == "warning"
    assert "pip install -e" in str(found["edgeq"].fix)
    assert {"package.numpy", "package.unicorn"} <= found.keys()


def test_torch_is_looked_at_without_loading_it() -> None:
    code = (
        "import sys; from edgeq.diagnosing import packages; found = packages.packages(); "
        "print([f.status for f in found if f.id == 'package.torch'], "
        "[m for m in ('torch', 'onnx', 'onnxruntime', 'tensorflow') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_S
    )
    assert run.stdout == "['ok'] []\n", run.stderr


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("script", "status", "says"),
    [
        ("echo 'Open On-Chip Debugger 0.12.0-rc2' >&2", "ok", "0.12.0-rc2 ("),
        ("echo 0.12.0; exit 3", "warning", "does not say its version (exit code 3)"),
        ("echo usage: openocd FILE", "warning", "does not say its version (exit code 0)"),
        ("printf '\\377\\376'", "warning", "does not say its version"),
        ("while :; do :; done", "warning", "does not run: Command"),
    ],
)
def test_a_tool_is_asked_for_its_version(
    path: Path, monkeypatch: pytest.MonkeyPatch, script: str, status: str, says: str
) -> None:
    program(path, "openocd", script)
    if "while" in script:
        monkeypatch.setattr(tools, "ASK_TIMEOUT_S", 0.5)
    (finding,) = [f for f in tools.programs() if f.id == "tool.openocd"]
    assert finding.status == status
    assert says in finding.found
    assert (finding.fix is None) == (status == "ok")


def test_bossac_tells_its_version_and_ends_with_1(path: Path) -> None:
    """As Debian's bossa-cli 1.9.1 does."""
    said = "Basic Open Source SAM-BA Application (BOSSA) Version 1.9.1"
    (path / "bossac").write_text(f"#!/bin/sh\necho '{said}'; exit 1\n")
    (path / "bossac").chmod(0o755)
    (finding,) = [f for f in tools.programs() if f.id == "tool.bossac"]
    assert (finding.status, finding.found.split()[0]) == ("ok", "1.9.1")


def test_a_tool_that_is_no_program_is_said(path: Path) -> None:
    (path / "dfu-util").write_bytes(b"\x7fELF nonsense")
    (path / "dfu-util").chmod(0o755)
    (finding,) = [f for f in tools.programs() if f.id == "tool.dfu_util"]
    assert finding.status == "warning"
    assert "does not run" in finding.found


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exit 1", "is there but does not run"),
        (
            '[ "$1" = -dumpfullversion ] && echo 12.2 || { echo cc1: not found >&2; exit 1; }',
            "arm-none-eabi-gcc 12.2 cannot compile: cc1: not found",
        ),
    ],
)
def test_a_compiler_is_proven_by_a_file(path: Path, script: str, says: str) -> None:
    program(path, "arm-none-eabi-gcc", script)
    gcc, zig = tools.compilers()
    assert (gcc.status, zig.status) == ("warning", "ok"), (gcc, zig)
    assert says in gcc.found
    assert "gcc-arm-none-eabi" in str(gcc.fix)


def test_the_text_has_each_fix_under_its_finding() -> None:
    findings = (Finding("a.b", "ok", "here"), Finding("c.long", "error", "gone", "get it"))
    lines = doctor_text(findings).plain.splitlines()
    assert lines[0] == "ok      a.b     here"
    assert lines[1] == "error   c.long  gone"
    assert lines[2].strip() == "fix: get it"
    assert lines[-1] == "2 findings: 1 errors, 0 warnings"


@pytest.mark.parametrize(
    ("names", "error"),
    [(("port./dev/x", "probes.stlink"), Link), (("port./dev/x", "compiler.gcc"), Toolchain)],
)
def test_the_exit_code_is_that_of_what_is_wrong(
    names: tuple[str, ...], error: type[Exception]
) -> None:
    findings = tuple(Finding(name, "error", "x") for name in names)
    with pytest.raises(error, match=", ".join(names)):
        refuse_errors(findings)
    refuse_errors((Finding("a", "warning", "x"), Finding("b", "ok", "x")))
