"""A promise in words: for the header, the report and the page."""

from collections.abc import Mapping
from typing import Any


def promise_words(entry: Mapping[str, Any]) -> str:
    """The promise in a sentence, for header, report and page."""
    return (
        f"answers otherwise than {entry['against']} on less than {entry['limit']:.4g} of inputs, "
        f"with {entry['confidence']:.4g} confidence, if they are like the rows of "
        f"{entry['source']} ({entry['disagreements']} of {entry['tested']} tested rows differ, "
        f"at most {entry['bound']:.4g})"
    )
