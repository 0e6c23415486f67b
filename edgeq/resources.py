"""Finds the data folders `boards` and `firmware_templates`, in a checkout or in a wheel."""

from pathlib import Path

from edgeq.errors import EdgeqError


def data_dir(name: str) -> Path:
    """Folder `name` ("boards" or "firmware_templates"); the checkout wins over the wheel's copy."""
    package = Path(__file__).resolve().parent
    for candidate in (package.parent / name, package / "_data" / name):
        if candidate.is_dir():
            return candidate
    raise EdgeqError(f"edgeq's own folder {name!r} is missing; reinstall the package")


def boards_dir() -> Path:
    """Folder of the board files (`<board>.toml`)."""
    return data_dir("boards")


def templates_dir() -> Path:
    """Folder of the firmware sources and templates."""
    return data_dir("firmware_templates")
