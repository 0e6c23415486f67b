"""The runtime: every byte of the digits firmware's flash image that is no constant of the model.

Model constants (weights, biases, multipliers, tables, masks) stand in .edgeq_weights. All else
counts as runtime: kernels, generated calls and parameter structs, protocol, port, start-up,
vector table, read-only data and the load image of initialised data.
"""

from collections.abc import Callable

import pytest

from edgeq.toolchain import Firmware
from tests.acceptance.conftest import Digits

LIMIT_BYTES = 16_384


@pytest.mark.parametrize("kind", ["gcc", "zig"])
def test_the_runtime_takes_at_most_16_kilobytes(
    kind: str, digits: Digits, firmware: Callable[..., Firmware]
) -> None:
    built = firmware(kind)
    constants = built.sections[".edgeq_weights"]
    assert 0 <= constants - digits.weight_bytes <= 64, "alignment between arrays, no more"
    runtime = built.flash_bytes - constants
    print(f"{built.compiler}: runtime {runtime:,} B, model constants {constants:,} B")
    assert runtime <= LIMIT_BYTES
