"""The runtime: every byte of the digits firmware's flash image that is no constant of the model.

Model constants (weights, biases, multipliers, tables, masks) stand in .edgeq_weights. All else
counts as runtime: kernels, generated calls and parameter structs, protocol, port, start-up,
vector table, read-only data and the load image of initialised data.
"""

from collections.abc import Callable

import pytest

from edgeq.toolchain import Firmware
from tests.acceptance.conftest import Digits
from tests.compilers import COMPILERS

# with the kernels of --optimize size, and with those of DSP cores
LIMIT_BYTES = {True: 16_384, False: 22_528}


@pytest.mark.parametrize("kind", COMPILERS)
@pytest.mark.parametrize("small", [True, False], ids=["size", "latency"])
def test_the_runtime_keeps_its_size(
    kind: str, small: bool, digits: Digits, firmware: Callable[..., Firmware]
) -> None:
    built = firmware(kind, small=small)
    constants = built.sections[".edgeq_weights"]
    if not small:
        assert 0 <= constants - digits.weight_bytes <= 64, "alignment between arrays, no more"
    runtime = built.flash_bytes - constants
    print(f"{built.compiler}: runtime {runtime:,} B, model constants {constants:,} B")
    assert runtime <= LIMIT_BYTES[small]
