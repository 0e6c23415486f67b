"""`edgeq compare`: two runs of the same data."""

from pathlib import Path

import click

from edgeq.cli.options import json_option
from edgeq.cli.output import say_json, show


@click.command(short_help="What one run changes against another.")
@click.argument("run_a", type=click.Path(path_type=Path))
@click.argument("run_b", type=click.Path(path_type=Path))
@click.option(
    "--fail-if",
    "fail_if",
    multiple=True,
    metavar="RULE",
    help='Exit with 6 when B changes so much, as "latency>+5%" or "accuracy<-1pt"; repeatable.',
)
@json_option
def compare(run_a: Path, run_b: Path, fail_if: tuple[str, ...], as_json: bool) -> None:
    """What RUN_B changes against RUN_A, input by input, and whether that is shown."""
    from edgeq.comparing import compare as run
    from edgeq.comparing import refuse_failures
    from edgeq.comparing.studies_text import studies_text
    from edgeq.comparing.text import compare_text

    result = run(run_a, run_b, fail_if)
    if as_json:
        say_json(result)
    else:
        show(studies_text(result) if "study" in result else compare_text(result))
    refuse_failures(result)
