"""The virtual core that the tests of DSP kernels share."""

from pathlib import Path

import pytest

from tests.kernels.dsp.core import Core


@pytest.fixture(scope="module")
def core(linked: Path) -> Core:
    return Core(linked)
