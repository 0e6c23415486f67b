"""Where trials stand: SQLite, a journal on a shared folder, a database, Optuna's gRPC proxy."""

import contextlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from edgeq.errors import BadInput, EdgeqError, Toolchain

# Optuna's; it is an extra, and its types may not be there.
Study: TypeAlias = Any
Trial: TypeAlias = Any
FrozenTrial: TypeAlias = Any
Storage: TypeAlias = Any
EXTRA = "pip install 'edgeq[search]'"
JOURNAL, GRPC = "journal:", "grpc://"
_PASSWORD = re.compile(r"(://[^:/@]*):[^@]*@")


def optuna_module() -> Any:  # noqa: ANN401
    """Optuna, quiet. Toolchain without it."""
    try:
        import optuna
    except ImportError:
        raise Toolchain(f"the search is Optuna's, which is not installed: {EXTRA}") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    warnings.filterwarnings("ignore", "`?constraints_func", FutureWarning)  # 4 has nothing else
    return optuna


def default_url(folder: Path) -> str:
    """SQLite in a folder."""
    return f"sqlite:///{folder / 'search.db'}"


def shown(url: str) -> str:
    """The URL without its password."""
    return _PASSWORD.sub(r"\1:***@", url)


def open_storage(url: str) -> Storage:
    """ "journal:FILE", "grpc://HOST:PORT", or what SQLAlchemy takes.

    BadInput for a URL that is none, and for one that does not answer.
    """
    optuna = optuna_module()
    storage: Any
    with answering(url):
        if url.startswith(JOURNAL):
            backend = optuna.storages.journal.JournalFileBackend(url.removeprefix(JOURNAL))
            storage = optuna.storages.JournalStorage(backend)
        elif url.startswith(GRPC):
            storage = _proxy(optuna, url)
        elif "://" in url:
            driver = url.replace("postgresql://", "postgresql+psycopg://", 1)
            storage = optuna.storages.RDBStorage(driver, engine_kwargs=_patience(url))
        else:
            raise BadInput(
                f"--storage {url!r} is no URL; give sqlite:///FILE, postgresql://USER@HOST/NAME, "
                "journal:FILE or grpc://HOST:PORT"
            )
        storage.get_all_studies()  # asks it something
    return storage


def _proxy(optuna: Any, url: str) -> object:  # noqa: ANN401
    host, _, port = url.removeprefix(GRPC).rpartition(":")
    if not host or not port.isdecimal():
        raise BadInput(f"--storage {url!r}: give a host and its port, as grpc://localhost:13000")
    made = optuna.storages.GrpcStorageProxy(host=host, port=int(port))
    if hasattr(made, "wait_server_ready"):
        made.wait_server_ready(timeout=10)
    return made


def _patience(url: str) -> dict[str, Any]:
    """SQLite waits for another process's write instead of failing."""
    return {"connect_args": {"timeout": 120}} if url.startswith("sqlite") else {}


@contextlib.contextmanager
def answering(url: str) -> Iterator[None]:
    """What fails in the block is the storage's fault: BadInput with its words."""
    try:
        yield
    except EdgeqError:
        raise
    except ImportError as error:
        raise Toolchain(f"--storage {shown(url)} wants a package: {error}; {EXTRA}") from error
    except Exception as error:
        told = shown(str(error.__cause__ or error)).strip().split("\n")
        said = told[0][:300] or type(error).__name__
        raise BadInput(
            f"the storage {shown(url)} does not answer: {said}; start it, or give another "
            "--storage (trials that it holds are not lost)"
        ) from error
