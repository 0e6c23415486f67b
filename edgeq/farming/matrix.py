"""matrix.toml: which models shall run on which boards, and where those are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, ValidationError, model_validator

from edgeq.board import load_board
from edgeq.errors import BadInput
from edgeq.strict import Strict, first_problem
from edgeq.toml_file import read_toml

MOST_CELLS = 10_000
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")]
Text = Annotated[str, Field(min_length=1, max_length=4096)]
_EXAMPLE = "docs/farm.md has a whole example"


class _Whole(Strict):
    """A user's own file: a key that is not known is a slip."""

    model_config = ConfigDict(extra="forbid")


class BoardEntry(_Whole):
    """Where boards of one kind are: `places` of labgrid, serial `ports`, or its virtual twin.

    None of them: every place whose tag `board` names it.
    """

    places: Annotated[list[Text], Field(min_length=1)] | None = None
    ports: Annotated[list[Text], Field(min_length=1)] | None = None
    virtual: bool = False

    @model_validator(mode="after")
    def _one_kind(self) -> "BoardEntry":
        if (self.places is not None) + (self.ports is not None) + self.virtual > 1:
            raise ValueError("give one of places, ports and virtual")
        return self

    @property
    def farmed(self) -> bool:
        """Whether labgrid is asked for it."""
        return self.ports is None and not self.virtual


class Matrix(_Whole):
    """The whole file. Paths are relative to its folder; `limit`: only the first so many rows."""

    models: dict[Name, Text] = Field(min_length=1)
    boards: dict[Name, BoardEntry] = Field(min_length=1)
    data: Text | None = None
    limit: Annotated[int, Field(ge=1)] | None = None


@dataclass(frozen=True)
class Cell:
    """A model on a board; `source` is its model file, or the folder of its export."""

    model: str
    source: Path
    board: str

    @property
    def name(self) -> str:
        """As its folders and the journal have it."""
        return f"{self.model}@{self.board}"


def read_matrix(path: Path) -> Matrix:
    """Raises BadInput: what is wrong, where, and what is allowed; also for a board or a model that
    is not there.
    """
    value = read_toml(path, "matrix")
    try:
        matrix = Matrix.model_validate(value)
    except ValidationError as error:
        raise BadInput(f"{path} is no matrix: {first_problem(error)}; {_EXAMPLE}") from None
    _check(path, matrix)
    return matrix


def cells_of(matrix: Matrix, folder: Path) -> tuple[Cell, ...]:
    """Every model on every board, a board after the other."""
    return tuple(
        Cell(model, folder / source, board)
        for board in matrix.boards
        for model, source in matrix.models.items()
    )


def _check(path: Path, matrix: Matrix) -> None:
    for board in matrix.boards:
        try:
            known = load_board(board)
        except BadInput as error:
            raise BadInput(f"{path}, boards.{board}: {error}") from None
        if known.name != board:
            raise BadInput(f"{path}, boards.{board}: write its name, {known.name}")
    if len(matrix.models) * len(matrix.boards) > MOST_CELLS:
        raise BadInput(f"{path} has more than {MOST_CELLS:,} cells; split it")
    _check_paths(path, {f"models.{name}": given for name, given in matrix.models.items()})
    if matrix.data is not None:
        _check_paths(path, {"data": matrix.data})


def _check_paths(path: Path, given: Mapping[str, str]) -> None:
    for where, name in given.items():
        if not (path.parent / name).exists():
            raise BadInput(
                f"{path}, {where}: {path.parent / name} is not there; paths are relative to the "
                "folder of the matrix"
            )
