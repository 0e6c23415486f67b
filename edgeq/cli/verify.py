"""`edgeq verify`: the proofs of an export, once more."""

from pathlib import Path

import click

from edgeq.cli import names
from edgeq.cli.options import compiler_option, json_option
from edgeq.cli.output import say_json, show, working


@click.command(short_help="Prove an export again, on a real board too.")
@click.argument(
    "export",
    required=False,
    default="build/export",
    type=click.Path(path_type=Path),
    metavar="[EXPORT]",
)
@click.option(
    "--model", type=click.Path(path_type=Path), help="The model file, for the proof against it."
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="With --model: the rows that the export was made with.",
)
@click.option(
    "--port",
    shell_complete=names.ports,
    help="The board to ask; without it, the virtual twin of the export's target.",
)
@click.option("--baud", default=115200, show_default=True, help="The speed of that port.")
@compiler_option
@json_option
def verify(
    export: Path,
    model: Path | None,
    calibration: Path | None,
    port: str | None,
    baud: int,
    compiler: str,
    as_json: bool,
) -> None:
    """The proofs of the folder that `edgeq export` wrote: firmware, ONNX, TFLite, the model.

    Ends with 6 when one fails.
    """
    from edgeq.pipeline import verify as run
    from edgeq.prove.again import refuse_failed

    with working("verifying"):
        result = run(
            export, model=model, port=port, baud=baud, compiler=compiler, calibration=calibration
        )
    if as_json:
        say_json(result)
    else:
        from edgeq.reporting.export import checks_text

        show(checks_text(result))
    refuse_failed(result)
