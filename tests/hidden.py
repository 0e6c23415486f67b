"""Packages that a started Python does not find, as if they had never been installed."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
_HIDE = """
import importlib.machinery, os
find = importlib.machinery.PathFinder.find_spec
def hide(name, path=None, target=None):
    hidden = name.partition(".")[0] in os.environ["HIDE"].split(",")
    return None if hidden else find(name, path, target)
importlib.machinery.PathFinder.find_spec = hide
"""


def hiding(folder: Path, *modules: str) -> dict[str, str]:
    """What to add to the environment of a Python that shall not find these modules."""
    (folder / "sitecustomize.py").write_text(_HIDE)
    return {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "HIDE": ",".join(modules)}
