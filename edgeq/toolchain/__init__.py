"""FirmwareProject -> Firmware: compilers, board files, build, sizes."""

from edgeq.toolchain.assemble import with_board
from edgeq.toolchain.build import Firmware, build
from edgeq.toolchain.capturing import that_captures
from edgeq.toolchain.compiler import OPTIMIZE, Compiler, find_compiler

__all__ = [
    "OPTIMIZE",
    "Compiler",
    "Firmware",
    "build",
    "find_compiler",
    "that_captures",
    "with_board",
]
