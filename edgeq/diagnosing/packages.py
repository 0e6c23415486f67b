"""Python, edgeq and the packages it names as its own: versions, and whether they load."""

import importlib
import importlib.util
import platform
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from edgeq.diagnosing.finding import Finding
from edgeq.version import __version__

_MODULES = {"pyserial": "serial", "pyelftools": "elftools", "scikit-learn": "sklearn"}
# seconds to import: looked at, never loaded
_HEAVY = frozenset({"torch", "onnx", "onnxruntime", "ai-edge-litert", "tensorflow", "pyarrow"})
_NOT_FOR_USERS = frozenset({"dev", "examples"})
_FALLBACK = ("numpy", "pyserial", "unicorn")


def packages() -> list[Finding]:
    """Python, edgeq, then each package: what edgeq needs first, its extras after."""
    needs, extras = _requirements()
    found = [_python(), _edgeq()]
    found += [_package(need, None) for need in needs]
    return found + [_package(need, extra) for need, extra in extras]


def _python() -> Finding:
    return Finding("python", "ok", f"{platform.python_version()} ({sys.executable})")


def _edgeq() -> Finding:
    folder = Path(__file__).resolve().parents[1]
    try:
        metadata.distribution("edgeq")
    except metadata.PackageNotFoundError:
        found = f"{__version__}, not installed: it runs from {folder}"
        return Finding("edgeq", "warning", found, f"pip install -e {folder.parent}")
    return Finding("edgeq", "ok", f"{__version__} ({folder})")


def _requirements() -> tuple[list[Requirement], list[tuple[Requirement, str]]]:
    """What edgeq's own metadata asks for: always, and by extra."""
    try:
        lines = metadata.requires("edgeq") or []
    except metadata.PackageNotFoundError:
        lines = list(_FALLBACK)
    needs: list[Requirement] = []
    extras: list[tuple[Requirement, str]] = []
    for line in lines:
        try:
            need = Requirement(line)
        except InvalidRequirement:
            continue
        extra = line.partition("extra ==")[2].strip("\"' ")
        if not extra and (need.marker is None or need.marker.evaluate()):
            needs.append(need)
        elif extra and extra not in _NOT_FOR_USERS and need.name not in [n.name for n, _ in extras]:
            extras.append((need, extra))  # one that two extras bring is a finding of the first
    return needs, extras


def _package(need: Requirement, extra: str | None) -> Finding:
    name = f"package.{need.name.replace('-', '_')}"
    install = f"pip install 'edgeq[{extra}]'" if extra else f"pip install '{need.name}'"
    reason = _why_not(need.name)
    if reason == "absent" and extra:
        return Finding(name, "ok", f"not installed; optional: {install}")
    if reason == "absent":
        return Finding(name, "error", "not installed", install)
    if reason is not None:
        again = f"{install} --force-reinstall"
        return Finding(name, "error", f"is there but does not load: {reason}", again)
    return _version(name, need)


def _version(name: str, need: Requirement) -> Finding:
    try:
        version = metadata.version(need.name)
    except metadata.PackageNotFoundError:
        return Finding(name, "ok", "is there, without a version")
    if not need.specifier.contains(version, prereleases=True):
        found = f"{version}, but edgeq needs {need.name}{need.specifier}"
        return Finding(name, "warning", found, f"pip install '{need.name}{need.specifier}'")
    return Finding(name, "ok", version)


def _why_not(distribution: str) -> str | None:
    """None for a package that is there (and loads, unless that takes seconds), else why not."""
    module = _MODULES.get(distribution, distribution.replace("-", "_"))
    try:
        if importlib.util.find_spec(module) is None:
            return "absent"
        if distribution not in _HEAVY:
            importlib.import_module(module)
    except ModuleNotFoundError as error:
        return "absent" if error.name == module else str(error)
    except Exception as error:  # a broken native library raises what it likes
        return f"{type(error).__name__}: {error}"
    return None
