"""`edgeq export`: a model becomes ONNX, TFLite and firmware."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import click

from edgeq.cli import names
from edgeq.cli.options import (
    compiler_option,
    input_shape_option,
    json_option,
    out_option,
    verbose_option,
)
from edgeq.cli.output import say_json, show, stderr_console, working
from edgeq.task import TASKS


@click.command(short_help="ONNX, TFLite and C firmware of a model, checked.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--target",
    required=True,
    shell_complete=names.targets,
    help="A core (cortex-m4) or a board (nucleo_f446re).",
)
@out_option
@click.option("--calibration", type=click.Path(path_type=Path), help="An .npz file with key x.")
@click.option(
    "--method",
    default="mse",
    show_default=True,
    type=click.Choice(["minmax", "percentile", "mse", "margin"]),
    help="How activation ranges come from the calibration rows.",
)
@click.option(
    "--optimize",
    default="latency",
    show_default=True,
    type=click.Choice(["latency", "measured", "size"]),
    help="Kernels by cycles (in the table's order, or each layer counted on the board's twin), or "
    "by bytes of code.",
)
@click.option("--max-latency", help="Fail if the worst case takes longer, e.g. 20ms.")
@click.option(
    "--max-energy", help="Fail if the worst case takes more, e.g. 1mJ (upper end of band)."
)
@click.option(
    "--max-mean-latency",
    help="Weaken curiosity, or a cascade's thresholds, until the expected case takes this.",
)
@click.option(
    "--max-mean-energy",
    help="Weaken curiosity, or a cascade's thresholds, until the expected case takes this.",
)
@click.option(
    "--max-mean-power",
    help="The same until the calibration rows, a row a hop, take this in the mean, e.g. 3mW.",
)
@click.option(
    "--max-disagreement",
    help="Take the cheapest threshold that answers otherwise than the most precise expert on less "
    "than this share of inputs, e.g. 2%.",
)
@click.option("--confidence", help="Of --max-disagreement (default: 95%).")
@click.option(
    "--threshold-data",
    type=click.Path(path_type=Path),
    help="An .npz file with key x: rows for --max-disagreement that no training saw.",
)
@click.option(
    "--mlperf",
    type=click.Choice(["kws01", "vww01", "ad01", "ic01", "sww01"]),
    help="Answer the runner of this MLPerf Tiny benchmark; the model must have its shapes.",
)
@click.option(
    "--weights-as",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "c", "binary"]),
    help="Large arrays as C literals or in a binary file; auto: binary above 256 KB.",
)
@click.option("--weights", help="Quantise a float model to this weight kind first, e.g. int4.")
@click.option(
    "--plan",
    type=click.Path(),
    help="Quantise a float model to the widths of this file of `edgeq plan` first.",
)
@click.option(
    "--ptq",
    default="fast",
    show_default=True,
    type=click.Choice(["fast", "best"]),
    help="How --weights or --plan rounds: in seconds, or by learning for minutes.",
)
@click.option("--labels", type=click.Path(), help="A text file with a class name a line.")
@click.option(
    "--task",
    type=click.Choice(TASKS),
    help="How answers are judged (default: the model's own, else as its shapes tell).",
)
@click.option("--stream", help="One step of a stream instead: hop=1 (frames), or hop=20ms.")
@click.option(
    "--lookahead",
    is_flag=True,
    help="Of --stream: wait for the frames that layers look ahead to.",
)
@click.option(
    "--carry",
    is_flag=True,
    help="Of --stream: recurrent layers go on from the hop before, up to a reset.",
)
@click.option(
    "--hold",
    type=int,
    help="Of experts: behind a row that is escalated the next so many are, too.",
)
@click.option("--hop", help="Fail if the worst case takes longer than a hop, e.g. 20ms.")
@input_shape_option
@click.option("--name", help="Begins every C name of the model, e.g. kws (default: its own name).")
@click.option(
    "--package",
    help="A library of the model too, in these formats, e.g. cmake,zephyr,arduino (also make, "
    "platformio, esp-idf, cmsis-pack).",
)
@click.option(
    "--accept-mismatch",
    is_flag=True,
    help="Write an export whose integers answer otherwise than the trained model.",
)
@compiler_option
@verbose_option
@json_option
def export(
    model: Path,
    target: str,
    out: Path,
    calibration: Path | None,
    method: str,
    optimize: str,
    compiler: str,
    verbose: bool,
    as_json: bool,
    **more: object,
) -> None:
    """ONNX, TFLite and C firmware of MODEL, with sizes, equivalence checks and what it costs.

    MODEL is what edgeq.save wrote, or an int8 .tflite file, whose integers are taken as they are.
    Latency and energy are modelled; budgets carry a unit: us, ms, s; uJ, mJ, J.
    """
    from edgeq.board import target_board
    from edgeq.pipeline import export as run

    target_board(target)  # a misspelt one is told before torch is loaded
    exporting = partial(run, model, target, out, calibration, method, compiler, optimize)
    with _shown(counting=optimize == "measured", quiet=as_json) as watch:
        report = exporting(watch=watch, **cast(dict[str, Any], more))
    if as_json:
        say_json(report)
    else:
        from edgeq.reporting.export import export_text

        show(export_text(report, str(out), verbose))


@contextmanager
def _shown(counting: bool, quiet: bool) -> Iterator[Callable[[int, int, str], None] | None]:
    """A spinner, or a bar of the counts."""
    if not counting:
        with working("exporting"):
            yield None
        return
    from edgeq.reporting.progress import step_bar

    with step_bar(stderr_console(quiet=quiet)) as watch:
        yield watch
