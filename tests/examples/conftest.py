"""What tests of the ESC-10 example share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def data() -> Path:
    folder = Path(os.environ.get("EDGEQ_DATA", "")) / "esc10"
    if "EDGEQ_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("EDGEQ_DATA names no folder with esc10: the ESC-10 clips are absent")
    return folder
