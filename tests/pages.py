"""The sessions of docs/: pages whose Python runs as written."""

import doctest
from pathlib import Path

import pytest

from edgeq.errors import Toolchain
from edgeq.toolchain import find_compiler

DOCS = Path(__file__).parents[1] / "docs"


def run_page(name: str, folder: Path, flags: int = 0) -> tuple[int, int]:
    """(failed, tried) examples of a page, run in `folder`; skips the test without a compiler.

    `flags`: doctest's, of how an answer may differ from the page's.
    """
    try:
        find_compiler("auto")
    except Toolchain as error:
        pytest.skip(str(error))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        page = str(DOCS / name)
        failed, tried = doctest.testfile(page, module_relative=False, optionflags=flags)
    return failed, tried
