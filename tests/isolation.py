"""What the tests may see of the computer they run on: nothing that is its user's.

Home, settings, caches, running boards, ports, drives and probes are the tests' own, in this
process and in those that it starts. Whatever looks at the user's all the same fails at once.
"""

import atexit
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import platformdirs

from tests.compiler_cache import put_before_compilers

FOLDERS = {
    "HOME": "home",
    "XDG_CONFIG_HOME": "home/.config",
    "XDG_DATA_HOME": "home/.local/share",
    "XDG_STATE_HOME": "home/.local/state",
    "XDG_CACHE_HOME": "home/.cache",
    "XDG_RUNTIME_DIR": "runtime",
    "TMPDIR": "tmp",
}
# what the suite itself is told through the environment
KEPT = ("EDGEQ_DATA", "EDGEQ_EXAMPLES", "EDGEQ_KERNEL_SANITIZERS")
LISTED = ("/dev", "/media", "/run/media", "/mnt", "/Volumes")  # by who looks for devices
USB = "/sys/bus/usb"
MOUNTS = "/proc/filesystems"  # psutil reads it before it lists the mounted drives


def isolate(caches: Path) -> Path:
    """Sets the environment of this process; returns the folder that holds it all.

    The compilers' caches go by content and take minutes to fill: they stay between runs.
    """
    users = _records_folders()
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())  # of failed tests: kept
    chrome = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "choreographer"
    folder = Path(tempfile.mkdtemp(prefix="edgeq-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # after multiprocessing's own
    for name in [name for name in os.environ if name.startswith("EDGEQ_") and name not in KEPT]:
        del os.environ[name]
    for name, place in FOLDERS.items():
        (folder / place).mkdir(mode=0o700, parents=True, exist_ok=True)
        os.environ[name] = str(folder / place)
    if chrome.is_dir():  # a browser that was downloaded there
        (folder / FOLDERS["XDG_DATA_HOME"] / "choreographer").symlink_to(chrome)
    tempfile.tempdir = None  # TMPDIR is read again
    os.environ["EDGEQ_DEVICES"] = "none"
    os.environ["ZIG_GLOBAL_CACHE_DIR"] = str(caches / "zig")
    put_before_compilers(folder / "compilers", caches / "ccache")
    sys.addaudithook(lambda event, given: _refuse(event, given, users))
    return folder


def end(folder: Path) -> None:
    """No board of the tests stays behind; the folder goes with the process."""
    from edgeq import flashers

    os.environ["XDG_RUNTIME_DIR"] = str(folder / FOLDERS["XDG_RUNTIME_DIR"])
    flashers.stop(everything=True)


def _records_folders() -> tuple[str, ...]:
    """Where the boards that the user runs may be noted, with and without a runtime folder."""
    runtime = os.environ.pop("XDG_RUNTIME_DIR", None)
    found = {str(Path(tempfile.gettempdir()) / f"edgeq-{os.getuid()}")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", platformdirs.RuntimeDirWarning)
        found.add(platformdirs.user_runtime_dir("edgeq"))
        if runtime:
            os.environ["XDG_RUNTIME_DIR"] = runtime
            found |= {str(Path(runtime) / "edgeq"), platformdirs.user_runtime_dir("edgeq")}
    return tuple(sorted(found))


def _refuse(event: str, given: tuple[object, ...], users: tuple[str, ...]) -> None:
    """An audit hook (docs.python.org/3/library/sys.html#sys.addaudithook)."""
    if event not in ("open", "os.listdir", "os.scandir", "os.mkdir") or not given:
        return
    path = given[0]
    if isinstance(path, str | Path):
        name = os.path.normpath(path)
        if name.startswith((*users, USB, MOUNTS)) or (
            event in ("os.listdir", "os.scandir") and name in LISTED
        ):
            raise AssertionError(f"a test looks at what is the user's: {event} {name}")
