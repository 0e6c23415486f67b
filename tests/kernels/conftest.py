"""The host build of all kernels, once a session; undefined behaviour fails the test that hit it."""

import ctypes
import os
import shutil
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.kernels import host_kernels

settings.register_profile(
    "kernels",
    max_examples=int(os.environ.get("EDGEQ_KERNEL_EXAMPLES", "40")),
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
