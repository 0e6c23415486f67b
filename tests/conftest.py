"""Options and fixtures that every test may use."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.isolation import end, isolate

# `make test` samples the properties, `make test-full` sets more examples;
# a loaded machine is no failure: no deadline for one example
EXAMPLES = int(os.environ.get("EDGEQ_EXAMPLES", "10"))
# fresh seeds in every run, in CI too, where hypothesis would else repeat one; a failure prints its
# example and how to repeat it, and stays in the test as an @example
settings.register_profile(
    "edgeq", deadline=None, max_examples=EXAMPLES, derandomize=False, print_blob=True
)
settings.load_profile("edgeq")

GOLDEN = Path(__file__).parent / "golden"


_ISOLATED = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Nothing of the user's is seen, from here on: importing a test may look already.

    A shell starts background jobs deaf to Ctrl-C, and so would be what the tests start.
    """
    config.stash[_ISOLATED] = isolate(config.rootpath / ".pytest_cache")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Boards that a test left running end."""
    if _ISOLATED in config.stash:
        end(config.stash[_ISOLATED])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite the stored texts of tests/golden; review the diff",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """golden(name, text) compares text with tests/golden/<name>; --update-golden rewrites it."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"{path} is missing; run pytest --update-golden and review it"
        assert path.read_text(encoding="utf-8") == text

    return compare
