"""An application of five lines with a packaged model, built the way each format's project does."""

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hang import HANG_S

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
APPLICATION = """#include "edgeq_{name}.h"
static {name}_context net;
int8_t input[{macro}_INPUT_BYTES], output[{macro}_OUTPUT_COUNT];
int main(void) {{ {name}_init(&net); {before}
                  return {name}_infer(&net, input, output){after}; }}
"""
# what ESP-IDF and Zephyr bring to a component; their builds want SDKs of gigabytes
ESP_IDF = """
set(ESP_PLATFORM 1)
function(idf_component_register)
  cmake_parse_arguments(ARG "" "" "SRCS;INCLUDE_DIRS" ${ARGN})
  add_library(component STATIC ${ARG_SRCS})
  target_include_directories(component PUBLIC ${ARG_INCLUDE_DIRS})
endfunction()
add_subdirectory(library)
target_link_libraries(app.elf component)
"""
ZEPHYR = """
set(CONFIG_EDGEQ_{macro} y)
macro(zephyr_library_named name)
  set(ZEPHYR_CURRENT_LIBRARY ${{name}})
  add_library(${{name}} STATIC)
endmacro()
function(zephyr_include_directories)
  target_include_directories(app.elf PRIVATE ${{ARGN}})
  target_include_directories(${{ZEPHYR_CURRENT_LIBRARY}} PRIVATE ${{ARGN}})
endfunction()
function(zephyr_library_sources)
  target_sources(${{ZEPHYR_CURRENT_LIBRARY}} PRIVATE ${{ARGN}})
endfunction()
add_subdirectory(library/zephyr)
target_link_libraries(app.elf edgeq_{name})
"""
CMAKE = """
cmake_minimum_required(VERSION 3.16)
project(app C)
add_executable(app.elf app.c {support})
target_include_directories(app.elf PRIVATE {includes})
target_link_options(app.elf PRIVATE {link})
{uses}
target_link_libraries(app.elf {libraries})
"""
MAKE = """
include library/edgeq_{name}.mk
CFLAGS += {flags} $(EDGEQ_{macro}_INCLUDES) {includes}
app.elf: app.c {support} $(EDGEQ_{macro}_SOURCES)
\t{compiler} $(CFLAGS) $^ {link} {libraries} -o $@
"""


@dataclass(frozen=True)
class Platform:
    """What is around the application: the compiler, and files that a bare board wants besides."""

    compiler: str
    flags: tuple[str, ...]
    support: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()
    link: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()


def run(command: Sequence[object], folder: Path) -> None:
    """Runs it there; what it said stands in the failure."""
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, capture_output=True, text=True, timeout=HANG_S
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def _cmake(uses: str, name: str, folder: Path, on: Platform) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    text = CMAKE.format(
        support=" ".join(on.support),
        includes=" ".join(on.includes),
        link=" ".join(on.link),
        libraries=" ".join(on.libraries),
        uses=uses,
    )
    (folder / "CMakeLists.txt").write_text(text)
    system = () if on.compiler in ("cc", "gcc") else ("-DCMAKE_SYSTEM_NAME=Generic",)
    run(
        (
            *("cmake", "-B", "build", f"-DCMAKE_C_COMPILER={on.compiler}", *system),
            "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY",
            f"-DCMAKE_C_FLAGS={' '.join(on.flags)}",
        ),
        folder,
    )
    run(("cmake", "--build", "build", "-j2"), folder)
    shutil.copy(folder / "build" / "app.elf", folder / "app.elf")


def cmake(name: str, folder: Path, on: Platform) -> None:
    """add_subdirectory."""
    _cmake(
        f"add_subdirectory(library)\ntarget_link_libraries(app.elf edgeq::{name})", name, folder, on
    )


def fetched(name: str, folder: Path, on: Platform) -> None:
    """FetchContent of the library as an archive."""
    archive = shutil.make_archive(str(folder / "fetched"), "zip", folder / "library")
    uses = f"""
include(FetchContent)
FetchContent_Declare(edgeq_{name} URL file://{archive})
FetchContent_MakeAvailable(edgeq_{name})
target_link_libraries(app.elf edgeq::{name})
"""
    _cmake(uses, name, folder, on)


def esp_idf(name: str, folder: Path, on: Platform) -> None:
    """The component, registered by a stand-in of idf_component_register."""
    _cmake(ESP_IDF, name, folder, on)


def zephyr(name: str, folder: Path, on: Platform) -> None:
    """The module, by stand-ins of Zephyr's three functions."""
    _cmake(ZEPHYR.format(name=name, macro=name.upper()), name, folder, on)


def make(name: str, folder: Path, on: Platform) -> None:
    """The fragment, included."""
    text = MAKE.format(
        name=name,
        macro=name.upper(),
        compiler=on.compiler,
        flags=" ".join(on.flags),
        support=" ".join(on.support),
        includes=" ".join(f"-I{each}" for each in on.includes),
        link=" ".join(on.link),
        libraries=" ".join(f"-l{each}" for each in on.libraries),
    )
    (folder / "Makefile").write_text(text)
    run(("make",), folder)


def _every_file(source: Path, include: Path, folder: Path, on: Platform) -> None:
    """Compiles every C file below, as such a project's builder does, and links the application."""
    includes = [f"-I{each}" for each in (include, *on.includes)]
    objects = []
    files = [*(folder / each for each in ("app.c", *on.support)), *sorted(source.rglob("*.c"))]
    for number, file in enumerate(files):
        objects.append(f"{number}.o")
        run((on.compiler, *on.flags, *includes, "-c", file, "-o", objects[-1]), folder)
    libraries = [f"-l{each}" for each in on.libraries]
    run((on.compiler, *on.flags, *objects, *on.link, *libraries, "-o", "app.elf"), folder)


def arduino(name: str, folder: Path, on: Platform) -> None:
    """Arduino's library format 1.5: every file below src, with src on the include path."""
    source = folder / "library" / "src"
    _every_file(source, source, folder, on)


def platformio(name: str, folder: Path, on: Platform) -> None:
    """The folders that library.json names."""
    build = json.loads((folder / "library" / "library.json").read_text())["build"]
    library = folder / "library"
    _every_file(library / build["srcDir"], library / build["includeDir"], folder, on)


Build = Callable[[str, Path, Platform], None]
BUILDS: dict[str, Build] = {
    "cmake": cmake,
    "fetchcontent": fetched,
    "make": make,
    "arduino": arduino,
    "platformio": platformio,
    "esp-idf": esp_idf,
    "zephyr": zephyr,
}
