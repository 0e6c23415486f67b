"""A PostgreSQL server and Optuna's gRPC proxy for a test, on ports of their own; ended with it."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hang import HANG_S

PROXY = """
import sys
from optuna.storages import RDBStorage, run_grpc_proxy_server
run_grpc_proxy_server(RDBStorage(sys.argv[1]), host="localhost", port=int(sys.argv[2]))
"""


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("localhost", 0))
        return int(held.getsockname()[1])


def _tools() -> Path | None:
    """Where initdb is: Debian keeps a folder for each version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    named = shutil.which("initdb")
    return found[-1].parent if found else Path(named).parent if named else None


@contextmanager
def postgresql() -> Iterator[str]:
    """A server with data of its own; its URL. Skips with the reason where there is none."""
    tools = _tools()
    if tools is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    user: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        if shutil.which("runuser") is None or not _known("postgres"):
            pytest.skip("as root a server wants the user postgres and runuser")
        user = ["runuser", "-u", "postgres", "--"]
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # the tests' own are closed to that user
        folder, port = Path(name), free_port()
        if user:
            shutil.chown(folder, "postgres")
        data = folder / "data"
        made = ["-D", data, "-U", "edgeq", "-A", "trust", "--no-sync"]
        _run([*user, tools / "initdb", *made], folder)
        options = f"-p {port} -c listen_addresses=localhost -c fsync=off -k {folder}"
        control = [*user, tools / "pg_ctl", "-D", data, "-w", "-t", str(HANG_S)]
        _run([*control, "-o", options, "-l", folder / "log", "start"], folder)
        try:
            yield f"postgresql://edgeq@localhost:{port}/postgres"
        finally:
            _run([*control, "-m", "immediate", "stop"], folder)


def _known(user: str) -> bool:
    import pwd

    try:
        return bool(pwd.getpwnam(user))
    except KeyError:
        return False


def _run(command: list[object], folder: Path) -> None:
    words = [str(word) for word in command]
    with (folder / "said").open("a+") as said:  # a pipe would stay open in the server
        ran = subprocess.run(words, cwd=folder, stdout=said, stderr=said, timeout=HANG_S)
        said.seek(0)
        assert ran.returncode == 0, said.read()


@contextmanager
def grpc_proxy(url: str) -> Iterator[str]:
    """The proxy in front of a database; its URL."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", PROXY, url, str(port)])
    try:
        began = time.monotonic()
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("localhost", port)) == 0:
                    break
            assert process.poll() is None
            assert time.monotonic() - began < HANG_S
            time.sleep(0.1)
        yield f"grpc://localhost:{port}"
    finally:
        process.terminate()
        process.wait(HANG_S)
