"""Architecture and width searched under a board's caps: Optuna's trials, the twin's figures."""

from edgeq.searching.search import Wanted, search

__all__ = ["Wanted", "search"]
