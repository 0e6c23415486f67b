"""Tables and paragraphs as wide as the screen, with no word and no number folded.

A table that is too wide takes its columns' short forms, drops what matters least, shortens names
in the middle and, where even that is too wide, goes on below itself.
"""

import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

LEAST = 14  # characters that a shortened name keeps
WORDS = 12  # characters of a column of words, at least
INDENT = 16  # characters of a label below which nothing is written
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:[mun]?[sJCVAW]|B|%|MHz|mismatches|rows|cycles|steps?)\b)")


@dataclass(frozen=True)
class Column:
    """`drop`: among those that go, when (0 first); None stays. `name`: may be shortened."""

    title: str
    right: bool = True
    name: bool = False
    words: bool = False  # wraps between words
    drop: int | None = None
    short: Callable[[str], str] | None = None
    short_title: str | None = None


def name_column(title: str, short: Callable[[str], str] | None = None) -> Column:
    """Names, left-aligned, shortened in the middle where they must."""
    return Column(title, right=False, name=True, short=short)


@dataclass(frozen=True)
class Row:
    """Cells as they stand on a wide screen; a style for each, or one for all."""

    cells: Sequence[str]
    style: str = ""
    last_style: str = ""


@dataclass(frozen=True)
class FittedTable:
    """The first column is repeated where the table goes on below."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    gap: int = 2  # characters between two columns; one where the table went on below otherwise

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        fitted = _fitted(self, width)
        if _needed(fitted) > width:
            fitted = _fitted(replace(self, gap=1), width)
        for part in _parts(fitted, width):
            yield _drawn(part, width)


def table(title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> FittedTable:
    """One without styles."""
    return FittedTable(title, tuple(columns), tuple(Row(row) for row in rows))


def middle(name: str, width: int, head: float = 0.5) -> str:
    """`name` in `width` characters, its middle left out; `head`: the share of its beginning.

    >>> middle("ternary/body.mixture.experts.0.18", 15)
    'ternary…ts.0.18'
    """
    if cell_len(name) <= width:
        return name
    begin = int((width - 1) * head)
    end = width - 1 - begin
    short = f"{name[:begin]}…{name[len(name) - end :]}"
    return short if cell_len(short) <= width else middle(short, width - 1, head)  # wide characters


def middles(names: Sequence[str], width: int) -> list[str]:
    """All of them shortened, at a place that leaves different names different if there is one."""
    made: list[list[str]] = []
    for head in (0.5, 0.35, 0.65, 0.2, 0.8):
        made.append([middle(name, width, head) for name in names])
        if len(set(made[-1])) == len(set(names)):
            return made[-1]
    return made[0]


@dataclass(frozen=True)
class Paragraph:
    """Wrapped between words only; lines after the first begin behind a short label.

    What has no space and is longer than a line (a path) stays whole.
    """

    text: str
    label: str = ""
    style: str = ""
    label_style: str = ""
    marked: str = ""  # words of the text that stand out
    mark_style: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = wrapped(self.text, options.max_width, self.label)
        text = Text("\n".join(lines), style=self.style, no_wrap=True, overflow="ignore")
        text.stylize(self.label_style or self.style, 0, len(self.label))
        if self.marked:
            text.highlight_words([self.marked], self.mark_style)
        yield text


def wrapped(text: str, width: int, label: str = "") -> list[str]:
    """The lines of a paragraph; a number and its unit stay together where a line ends."""
    kept = _BEFORE_UNIT.sub("\u00a0", text)
    lines = textwrap.wrap(
        kept,
        width,
        initial_indent=label,
        subsequent_indent=" " * len(label) if len(label) <= INDENT else "",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\u00a0", " ") for line in lines] or [label]


def _widths(given: FittedTable) -> list[int]:
    """Of each column; one of words needs only its longest word."""
    widths = []
    for i, column in enumerate(given.columns):
        cells = [column.title, *(row.cells[i] for row in given.rows)]
        width = max(map(cell_len, cells))
        if column.words:
            longest = max((cell_len(word) for cell in cells for word in cell.split()), default=0)
            width = min(width, max(WORDS, longest))
        widths.append(width)
    return widths


def _needed(given: FittedTable, widths: Sequence[int] = ()) -> int:
    """Of the whole table, or of columns as wide as that."""
    known = widths or _widths(given)
    return sum(known) + given.gap * (len(known) - 1)


def _fitted(given: FittedTable, width: int) -> FittedTable:
    """Short forms, then fewer columns, then shorter names, as far as it must."""
    if _needed(given) <= width:
        return given
    made = _short(given)
    for drop in sorted(c.drop for c in given.columns if c.drop is not None):
        if _needed(made) > width:
            made = _only(made, [i for i, c in enumerate(made.columns) if c.drop != drop])
    widths = _widths(made)
    while _needed(made, widths) > width:
        longest = max((w for w, c in zip(widths, made.columns, strict=True) if c.name), default=0)
        if longest <= LEAST:
            break
        at = next(i for i, c in enumerate(made.columns) if c.name and widths[i] == longest)
        widths[at] -= 1
    return _with_names(made, widths)


def _short(given: FittedTable) -> FittedTable:
    columns = tuple(replace(c, title=c.short_title or c.title) for c in given.columns)
    rows = (
        [c.short(cell) if c.short else cell for c, cell in zip(columns, row.cells, strict=True)]
        for row in given.rows
    )
    return _with_cells(replace(given, columns=columns), list(rows))


def _with_names(given: FittedTable, widths: Sequence[int]) -> FittedTable:
    by_column = [
        middles([row.cells[i] for row in given.rows], widths[i])
        if column.name
        else [row.cells[i] for row in given.rows]
        for i, column in enumerate(given.columns)
    ]
    return _with_cells(given, [list(cells) for cells in zip(*by_column, strict=True)])


def _with_cells(given: FittedTable, cells: Sequence[Sequence[str]]) -> FittedTable:
    rows = (replace(row, cells=own) for row, own in zip(given.rows, cells, strict=True))
    return replace(given, rows=tuple(rows))


def _only(given: FittedTable, kept: Sequence[int]) -> FittedTable:
    """These columns, in this order."""
    rows = (replace(row, cells=[row.cells[i] for i in kept]) for row in given.rows)
    return replace(given, columns=tuple(given.columns[i] for i in kept), rows=tuple(rows))


def _parts(given: FittedTable, width: int) -> Iterator[FittedTable]:
    """As many columns as there is room for, then the rest under the first one's names again."""
    widths = _widths(given)
    left = list(range(1, len(widths)))
    title = given.title
    while True:
        taken = [0, *left[:1]]
        for i in left[1:]:
            if _needed(given, [widths[k] for k in [*taken, i]]) > width:
                break
            taken.append(i)
        yield replace(_only(given, taken), title=title)
        left = left[len(taken) - 1 :]
        if not left:
            return
        title = ""


def _drawn(given: FittedTable, width: int) -> Table:
    made = Table(title=given.title or None, title_justify="left", box=None, pad_edge=False)
    made.padding = (0, given.gap, 0, 0)
    needed = _needed(given)
    for column, least in zip(given.columns, _widths(given), strict=True):
        room = max(least, least + width - needed) if column.words else least
        made.add_column(
            Text(column.title),
            justify="right" if column.right else "left",
            no_wrap=not column.words,
            min_width=least,
            max_width=room,
        )
    for row in given.rows:
        *cells, last = map(Text, row.cells)
        last.stylize(row.last_style)
        made.add_row(*cells, last, style=row.style)
    return made
