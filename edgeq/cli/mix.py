"""`edgeq mix`: one cascade of finished model files."""

from pathlib import Path

import click

from edgeq.cli.options import json_option
from edgeq.cli.output import say, say_json


@click.command(short_help="A cascade of finished models, cheapest first.")
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="The model file to write.",
)
@click.option(
    "--signal",
    default="gap",
    show_default=True,
    help="What tells an unsure answer: gap, entropy or monte_carlo.",
)
@click.option(
    "--escalate",
    default=0.3,
    show_default=True,
    help="The share of the calibration rows that goes on from each stage.",
)
@json_option
def mix(models: tuple[Path, ...], out: Path, signal: str, escalate: float, as_json: bool) -> None:
    """The MODELS, cheapest first, become one: the next runs where one is unsure.

    Of a single MODEL, a mixture, the experts become the stages and the router goes. No training is
    needed. `edgeq export --max-disagreement`, `--max-mean-energy` and their like choose other
    thresholds afterwards.
    """
    from edgeq.verbs import mix as run

    told = run(models, out, signal=signal, escalate=escalate)
    if as_json:
        say_json(told)
    else:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in told["shares"].items())
        rows = f"answered by {shares} of {told['rows']} calibration rows" if told["rows"] else ""
        say(f"{out}: {' -> '.join(told['experts'])}{'; ' + rows if rows else ''}")
        for note in told["notes"]:
            say(f"note: {note}", err=True)
