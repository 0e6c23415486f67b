"""Builds small bare-metal programs for the virtual board with whichever compiler there is."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

FLAGS = ["-mthumb", "-O2", "-ffreestanding", "-nostdlib", "-Wl,--build-id=none"]
GCC = {
    "cortex-m4": ["-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
    "cortex-m0plus": ["-mcpu=cortex-m0plus", "-mfloat-abi=soft"],
}
ZIG = {
    "cortex-m4": ["-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4+vfp4d16sp"],
    "cortex-m0plus": ["-target", "thumb-freestanding-eabi", "-mcpu=cortex_m0plus"],
}
LINKER_SCRIPT = """
MEMORY { FLASH (rx) : ORIGIN = 0, LENGTH = 4M  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 4M }
ENTRY(Reset_Handler)
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) } > FLASH
  .data : { *(.data*) } > RAM AT > FLASH
  .bss (NOLOAD) : { *(.bss*) *(COMMON) } > RAM
  /DISCARD/ : { *(.ARM.*) *(.comment) *(.note*) }
}
"""

Build = Callable[..., Path]


def cross_compiler(core: str) -> list[str]:
    """arm-none-eabi-gcc when installed, else the ziglang wheel."""
    if shutil.which("arm-none-eabi-gcc"):
        return ["arm-none-eabi-gcc", *GCC[core]]
    return [sys.executable, "-m", "ziglang", "cc", *ZIG[core], "-fno-sanitize=undefined"]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """build(source, suffix=".c" or ".S", core) -> path of the linked ELF."""
    folder = tmp_path_factory.mktemp("guest")
    (folder / "link.ld").write_text(LINKER_SCRIPT)

    def make(source: str, suffix: str = ".c", core: str = "cortex-m4") -> Path:
        number = len(list(folder.glob("*.elf")))
        path = folder / f"guest{number}{suffix}"
        path.write_text(source)
        elf = path.with_suffix(".elf")
        command = [*cross_compiler(core), *FLAGS, "-T", str(folder / "link.ld")]
        result = subprocess.run(
            [*command, str(path), "-o", str(elf)], capture_output=True, text=True, timeout=120
        )
        assert result.returncode == 0, result.stderr
        return elf

    return make
