"""What a reader of a file or module says of one operator: taken, refused, or not looked at."""

from dataclasses import dataclass

ONLY_OWN = "; an If is taken back only with the note that edgeq writes beside it"


class Refused(Exception):
    """Why an operator cannot be taken, in words that follow its name."""


class FollowsRefused(Exception):
    """It reads what a refused operator would have made: no finding of its own."""


@dataclass(frozen=True)
class Finding:
    """One operator: whether it can be taken, or why not."""

    index: int
    op: str
    name: str
    refused: str = ""
    checked: bool = True  # False: it reads what a refused one would have made, of no known type

    @property
    def said(self) -> str:
        return f"node {self.index} {self.op} ({self.name}): {self.refused}"
