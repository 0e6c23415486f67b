"""The firmware's templates, rendered: one environment for the model's files and the build's."""

from collections.abc import Mapping
from functools import lru_cache

import jinja2

from edgeq.resources import templates_dir


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    """One for all templates: compiling them costs more than rendering them."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_dir()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def render(template: str, values: Mapping[str, object]) -> str:
    """firmware_templates/<template>; an absent value is an error, never an empty text."""
    return _environment().get_template(template).render(values)
