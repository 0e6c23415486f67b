"""The consoles that edgeq prints tables on: nothing in a cell is markup, or steers a terminal."""

from collections.abc import Iterable
from typing import Any

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


def console(**options: Any) -> Console:
    """A rich Console with these options for text that nobody has looked at."""
    made = Console(markup=False, emoji=False, highlight=False, **options)
    made.push_render_hook(_Hook())  # type: ignore[arg-type]
    return made
