"""The host build of all kernels, once a session; undefined behaviour fails the test that hit it."""

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.compilers import COMPILERS
from tests.conftest import EXAMPLES
from tests.kernels import cross_kernels, host_kernels
from tests.once import once

settings.register_profile(
    "kernels",
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
KERNELS = settings.get_profile("kernels")
ON_CORE = settings(KERNELS, max_examples=200)  # in make test-full
HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Shared library of every kernel under UBSan."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc on this machine: the kernels cannot be built for the host")
    name = f"host-kernels-{host_kernels.sanitizers().replace(',', '-')}"
    return ctypes.CDLL(str(once(tmp_path_factory, name, host_kernels.build) / "kernels.so"))


@pytest.fixture(autouse=True)
def no_undefined_behaviour(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """UBSan reports on stderr and goes on; a report fails the test."""
    yield
    report = capfd.readouterr().err
    assert "runtime error" not in report, report


@pytest.fixture(scope="session", params=COMPILERS)
def objects(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Every kernel compiled (zig makes one object of them all)."""
    command = cross_kernels.command(request.param)
    files = [str(source) for source in cross_kernels.SOURCES]
    include = f"-I{host_kernels.FOLDER}"

    def make(folder: Path) -> None:
        _run([*command, *cross_kernels.FLAGS, include, "-c", *files], folder)

    return sorted(once(tmp_path_factory, f"{request.param}-objects", make).glob("*.o"))


@pytest.fixture(scope="session")
def linked(objects: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All kernels of one compiler in an ELF, with the calls of constant_time.c."""
    kind = objects[0].parent.name.removesuffix("-objects")
    memory = host_kernels.FOLDER.parent / "runtime" / "memory.c"
    flags = [*cross_kernels.FLAGS, "-fno-builtin", "-nostdlib"]
    flags += [f"-I{host_kernels.FOLDER}", f"-I{memory.parent}"]
    link = [f"-Wl,-T,{HERE / 'constant_time.ld'}", "-Wl,-e,run_relu_s8", "-Wl,--no-gc-sections"]
    inputs = [str(path) for path in (HERE / "constant_time.c", memory, *objects)]

    def make(folder: Path) -> None:
        command = cross_kernels.command(kind)
        _run([*command, *flags, *inputs, *link, "-o", "kernels.elf"], folder)

    return once(tmp_path_factory, f"{kind}-kernels", make) / "kernels.elf"


def _run(command: list[str], folder: Path) -> None:
    run = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=900, check=False
    )
    assert run.returncode == 0, run.stderr
