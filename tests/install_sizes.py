"""Sizes and start times of an install, into docs/install.md: python -m tests.install_sizes.

`--pythons` leaves the sizes as they are recorded and tries the interpreters alone.

Builds sdist and wheel, installs the wheel with each extra into a fresh environment, and asks each
for its help. Takes some minutes, and the package index.
"""

import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgeq.reporting.markdown import commit_of, write_table
from tests import base_on
from tests.hang import HANG_S
from tests.tiny_export import tiny_export

ROOT = Path(__file__).parents[1]
PAGE, RECORD = ROOT / "docs" / "install.md", ROOT / "docs" / "measured" / "install.json"
BASE = ""
WANTED = (BASE, "parquet", "zig", "report", "export", "export,zig,parquet,report")
PYTHONS = ("3.11", "3.12", "3.13")
DATA = ("boards", "firmware_templates")
RUNS = 5
MOST_BASE_BYTES, MOST_HELP_S = 200_000_000, 0.3


def run(*command: object) -> str:
    """Standard output; AssertionError with what was said when it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout


def uv() -> str:
    """The uv of this environment: `make setup` brings it."""
    found = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    assert found is not None, "uv is not installed: run make setup"
    return found


def built(folder: Path) -> tuple[Path, Path]:
    """The sdist of this tree and the wheel of that sdist."""
    run(uv(), "build", "--quiet", "--out-dir", folder, ROOT)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def data_files() -> set[str]:
    """What both must hold beside the modules."""
    return {
        path.relative_to(ROOT).as_posix()
        for name in DATA
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def data_of_wheel(wheel: Path) -> set[str]:
    """The same, as the wheel has them."""
    names = zipfile.ZipFile(wheel).namelist()
    return {n.removeprefix("edgeq/_data/") for n in names if n.startswith("edgeq/_data/")}


def data_of_sdist(sdist: Path) -> set[str]:
    """The same, as the sdist has them."""
    with tarfile.open(sdist) as archive:
        names = [m.name.partition("/")[2] for m in archive.getmembers() if m.isfile()]
    return {name for name in names if name.partition("/")[0] in DATA}


def installed(wheel: Path, extras: str, folder: Path, version: str | None = None) -> Path:
    """A fresh environment with the wheel; its `edgeq`. Byte code is compiled, as pip does."""
    python = sys.executable if version is None else version
    run(uv(), "venv", "--quiet", "--python", python, folder)
    asked = f"edgeq[{extras}] @ {wheel.as_uri()}" if extras else f"edgeq @ {wheel.as_uri()}"
    options = ("--quiet", "--compile-bytecode", "--python", folder / "bin" / "python")
    run(uv(), "pip", "install", *options, "-c", ROOT / "constraints.txt", asked)
    return folder / "bin" / "edgeq"


def size_of(folder: Path) -> int:
    """Bytes of all files below."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files)


def packages_of(folder: Path) -> int:
    """Installed distributions, edgeq included."""
    return len(list(folder.rglob("*.dist-info")))


def cpu_seconds(*command: object) -> float:
    """The least of some runs, user and system: what other programs take does not count."""
    return min(_one(command) for _ in range(RUNS))


def _one(command: tuple[object, ...]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(*command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def pythons() -> Iterator[str]:
    """Interpreters of the versions that edgeq names, as far as they are on this machine.

    What pyenv puts on PATH refuses a version that no folder asks for: it lies beside, then.
    """
    for version in PYTHONS:
        name = f"python{version}"
        on_path = shutil.which(name)
        beside = (
            Path(on_path).parents[1].glob(f"versions/{version}.*/bin/{name}") if on_path else ()
        )
        for found in (on_path, *sorted(map(str, beside))):
            asked = [found, "--version"]
            if found and subprocess.run(asked, capture_output=True, timeout=HANG_S).returncode == 0:
                yield found
                break


def tried(wheel: Path, folder: Path) -> list[dict[str, Any]]:
    """What tests/base_on.py says on each interpreter, of the base install in an environment."""
    export = tiny_export(folder / "export", 6)
    said = []
    for found in pythons():
        print(f"trying {found}", file=sys.stderr)
        edgeq = installed(wheel, BASE, folder / Path(found).name, found)
        answer = run(edgeq.parent / "python", ROOT / "tests" / "base_on.py", export)
        said.append(json.loads(answer))
    return said


def measured(folder: Path) -> dict[str, Any]:
    """The record."""
    sdist, wheel = built(folder / "dist")
    rows = []
    for number, extras in enumerate(WANTED):
        print(f"installing {extras or 'the base'}", file=sys.stderr)
        edgeq = installed(wheel, extras, place := folder / f"venv{number}")
        rows.append(
            {
                "extras": extras,
                "bytes": size_of(place),
                "packages": packages_of(place),
                "help_cpu_seconds": round(cpu_seconds(edgeq, "--help"), 3),
            }
        )
        shutil.rmtree(place)
    return {
        "commit": commit_of(ROOT),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "sdist_bytes": sdist.stat().st_size,
        "wheel_bytes": wheel.stat().st_size,
        "rows": rows,
        **interpreters(wheel, folder),
    }


def interpreters(wheel: Path, folder: Path) -> dict[str, Any]:
    """Their part of the record."""
    return {"pythons": tried(wheel, folder), "pythons_commit": commit_of(ROOT)}


def table(record: Mapping[str, Any]) -> str:
    """What stands between the marks of docs/install.md."""
    lines = [
        "| install | MB on disk | packages | `edgeq --help`, CPU-seconds |",
        "|---|---:|---:|---:|",
    ]
    for row in record["rows"]:
        name = f"edgeq[{row['extras']}]" if row["extras"] else "edgeq"
        megabytes = row["bytes"] / 1e6
        lines.append(
            f"| `{name}` | {megabytes:,.0f} | {row['packages']} | {row['help_cpu_seconds']:.2f} |"
        )
    said = f"Commit {record['commit']}, {record['system']}; wheel {record['wheel_bytes'] / 1e6:.1f}"
    said += f" MB, sdist {record['sdist_bytes'] / 1e6:.1f} MB."
    return "\n".join([*lines, "", said, "", _interpreters_said(record)])


def _interpreters_said(record: Mapping[str, Any]) -> str:
    rows = record["pythons"]
    versions = [row["python"] for row in rows]
    absent = [v for v in PYTHONS if not any(each.startswith(f"{v}.") for each in versions)]
    said = f"The base install lists boards, flashes and profiles `{base_on.BOARD}` on "
    said += ", ".join(
        f"Python {row['python']} ({row['samples']} rows, {row['mismatches']} mismatches)"
        for row in rows
    )
    said += f"; commit {record['pythons_commit']}."
    return said + (f" No interpreter of {', '.join(absent)} was at hand." if absent else "")


def main() -> None:
    """Measures, writes the record and the table."""
    with tempfile.TemporaryDirectory(prefix="edgeq-install-") as name:
        folder = Path(name)
        if sys.argv[1:] == ["--pythons"]:
            record = json.loads(RECORD.read_text(encoding="utf-8"))
            record |= interpreters(built(folder / "dist")[1], folder)
        else:
            record = measured(folder)
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    write_table(PAGE, table(record), "install")


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    main()
