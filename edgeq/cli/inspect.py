"""`edgeq inspect`: what a model's layers carry, and what each width loses."""

from functools import partial
from pathlib import Path
from typing import Any, cast

import click

from edgeq.cli.options import bits_option, json_option, labelled_option, run_option
from edgeq.cli.output import say, say_json, show, stderr_console
from edgeq.plain_text import one_line


@click.command(short_help="Outliers, ranges and sensitivity, layer by layer.")
@click.argument("model", type=click.Path(path_type=Path))
@labelled_option
@bits_option
@run_option
@json_option
def inspect(model: Path, as_json: bool, **options: object) -> None:
    """What each layer of a float MODEL carries, and what it loses at each width.

    Ranges, kurtosis, outlier channels, saturation, dead channels, bits of the accumulator; warnings
    say what to do.
    """
    from edgeq.planning.inspect_report import inspect_text
    from edgeq.reporting.progress import step_bar
    from edgeq.study_verbs import inspect as run

    stderr = stderr_console(quiet=as_json)
    with step_bar(stderr) as watch:
        tell = partial(stderr.print, soft_wrap=True)
        result = run(model, watch=watch, tell=tell, **cast(dict[str, Any], options))
    if as_json:
        say_json(result)
        return
    show(inspect_text(result))
    say(f"a row a channel, and the page: {one_line(result['run'])}")
