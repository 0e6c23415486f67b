"""The consoles that edgeq prints tables on: nothing in a cell is markup, or steers a terminal."""

from collections.abc import Iterable
from typing import Literal, TextIO

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderResult
from rich.segment import Segment

from edgeq.errors import printable


class _Plain:
    """A renderable whose texts are printable; what rich itself adds for colour stays."""

    def __init__(self, inner: ConsoleRenderable) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._inner, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


class _Hook:
    """Everything that is printed goes through it: rich's RenderHook."""

    def process_renderables(
        self, renderables: Iterable[ConsoleRenderable]
    ) -> list[ConsoleRenderable]:
        return [_Plain(each) for each in renderables]


def console(
    *,
    file: TextIO | None = None,
    stderr: bool = False,
    quiet: bool = False,
    width: int | None = None,
    soft_wrap: bool = False,
    color_system: Literal["auto", "truecolor"] | None = "auto",
    force_terminal: bool | None = None,
) -> Console:
    """A rich Console for text that nobody has looked at."""
    made = Console(
        file=file,
        stderr=stderr,
        quiet=quiet,
        width=width,
        soft_wrap=soft_wrap,
        color_system=color_system,
        force_terminal=force_terminal,
        markup=False,
        emoji=False,
        highlight=False,
    )
    made.push_render_hook(_Hook())  # type: ignore[arg-type]
    return made
