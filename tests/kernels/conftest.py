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

settings.register_profile(
    "kernels",
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
KERNELS = settings.get_profile("kernels")


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Shared library of every kernel under UBSan."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc on this machine: the kernels cannot be built for the host")
    return host_kernels.build(tmp_path_factory.mktemp("kernels"))


@pytest.fixture(autouse=True)
def no_undefined_behaviour(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """UBSan reports on stderr and goes on; a report fails the test."""
    yield
    report = capfd.readouterr().err
    assert "runtime error" not in report, report


@pytest.fixture(scope="session", params=COMPILERS)
def objects(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Every kernel compiled (zig makes one object of them all)."""
    folder = tmp_path_factory.mktemp(request.param)
    compile_one = [
        *cross_kernels.command(request.param),
        *cross_kernels.FLAGS,
        f"-I{host_kernels.FOLDER}",
        "-c",
    ]
    files = [str(source) for source in cross_kernels.SOURCES]
    run = subprocess.run(
        [*compile_one, *files], cwd=folder, capture_output=True, text=True, timeout=900, check=False
    )
    assert run.returncode == 0, run.stderr
    return sorted(folder.glob("*.o"))
