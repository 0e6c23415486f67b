"""Builds small bare-metal programs for the virtual board with whichever compiler there is."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hang import HANG_S

FLAGS = ["-mthumb", "-O2", "-ffreestanding", "-nostdlib", "-Wl,--build-id=none"]
GCC = {
    "cortex-m0plus": ["-mcpu=cortex-m0plus", "-mfloat-abi=soft"],
    "cortex-m3": ["-mcpu=cortex-m3", "-mfloat-abi=soft"],
    "cortex-m4": ["-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
    "cortex-m33": ["-mcpu=cortex-m33", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"],
    "cortex-m7": ["-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"],
    "double": ["-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-d16"],
}
HARD, SOFT = ["-target", "thumb-freestanding-eabihf"], ["-target", "thumb-freestanding-eabi"]
ZIG = {
    "cortex-m0plus": [*SOFT, "-mcpu=cortex_m0plus"],
    "cortex-m3": [*SOFT, "-mcpu=cortex_m3"],
    "cortex-m4": [*HARD, "-mcpu=cortex_m4+vfp4d16sp"],
    "cortex-m33": [*HARD, "-mcpu=cortex_m33+fp_armv8d16sp"],
    "cortex-m7": [*HARD, "-mcpu=cortex_m7+fp_armv8d16sp"],
    "double": [*HARD, "-mcpu=cortex_m7+fp_armv8d16"],
}
LINKER_SCRIPT = """
MEMORY { FLASH (rx) : ORIGIN = @flash@, LENGTH = 4M  RAM (rwx) : ORIGIN = @ram@, LENGTH = 4M }
ENTRY(Reset_Handler)
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) } > FLASH
  .rodata : { *(.rodata*) } > FLASH
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
    """build(source, suffix=".c" or ".S", core, flash=origin, ram=origin) -> path of the ELF."""
    folder = tmp_path_factory.mktemp("guest")

    def make(
        source: str,
        suffix: str = ".c",
        core: str = "cortex-m4",
        flash: int = 0,
        ram: int = 0x20000000,
    ) -> Path:
        path = folder / f"guest{len(list(folder.glob('*.elf')))}{suffix}"
        path.write_text(source)
        elf, script = path.with_suffix(".elf"), path.with_suffix(".ld")
        script.write_text(LINKER_SCRIPT.replace("@flash@", hex(flash)).replace("@ram@", hex(ram)))
        command = [*cross_compiler(core), *FLAGS, "-T", str(script), str(path), "-o", str(elf)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
        assert result.returncode == 0, result.stderr
        return elf

    return make
