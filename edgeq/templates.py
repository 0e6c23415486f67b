"""Templates, rendered: one environment for the model's files and the build's, and that of pages."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import jinja2

from edgeq.resources import templates_dir


def environment(
    folder: Path, *, html: bool = False, finalize: Callable[[object], object] | None = None
) -> jinja2.Environment:
    """How every template of edgeq is rendered: an absent value is an error, a block leaves no line.

    `html` escapes each value; `finalize` is what becomes of one before.
    """
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=not html,
        autoescape=html,
        finalize=finalize,
    )


@lru_cache(maxsize=1)
def _firmware() -> jinja2.Environment:
    """One for all templates: compiling them costs more than rendering them."""
    return environment(templates_dir())


def render(template: str, values: Mapping[str, object]) -> str:
    """firmware_templates/<template>; an absent value is an error, never an empty text."""
    return _firmware().get_template(template).render(values)
