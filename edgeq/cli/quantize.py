"""`edgeq quantize`: a float model becomes one with weights of another kind, without training."""

from pathlib import Path

import click

from edgeq.cli.options import input_shape_option, json_option
from edgeq.cli.output import say, say_json


@click.command(short_help="A float model with weights of another kind, without training.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--out",
    "-o",
    default="model.pt",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The model file to write.",
)
@click.option("--weights", help="The weight kind, e.g. ternary.  [default: int8]")
@click.option(
    "--keep",
    multiple=True,
    metavar="LAYER=KIND",
    help="Another kind for a layer, or for all of a module; may be given again.",
)
@click.option(
    "--plan",
    type=click.Path(path_type=Path),
    help="A file of `edgeq plan` in the place of --weights and --keep.",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="An .npz file with key x: real inputs (default: those in MODEL).",
)
@click.option(
    "--ptq",
    default="fast",
    show_default=True,
    type=click.Choice(["fast", "best"]),
    help="Rounding to the nearest in seconds, or learned in minutes.",
)
@input_shape_option
@json_option
def quantize(
    model: Path,
    out: Path,
    weights: str | None,
    keep: tuple[str, ...],
    plan: Path | None,
    calibration: Path | None,
    ptq: str,
    input_shape: str | None,
    as_json: bool,
) -> None:
    """A float MODEL with weights of another kind, from real inputs alone, as a model file.

    The file can be trained further (edgeq.nn.fit) and exported.
    """
    from edgeq import nn
    from edgeq.arrays import input_arrays
    from edgeq.errors import BadInput
    from edgeq.sources import model_of, planned

    if plan is not None and (weights is not None or keep):
        raise BadInput("--plan says every width; give it without --weights and --keep")
    odd = [each for each in keep if not each.partition("=")[2]]
    if odd:
        raise BadInput(f"--keep {odd[0]}: give LAYER=KIND, e.g. --keep stem=int8")
    kept = {name: kind for name, _, kind in (each.partition("=") for each in keep)}
    found = model_of(model, input_shape)
    x = None if calibration is None else input_arrays(calibration, found.inputs)
    if plan is not None:
        weights, kept = planned(found, plan)
    made = nn.quantize(found, x, weights or "int8", kept, ptq=ptq)
    nn.save(made, out)
    body = made.body
    assert isinstance(body, nn.GraphBody)  # quantize makes one
    kinds = {name: layer.kind for name, layer in body.layers.items()}
    if as_json:
        say_json({"model": str(out), "layers": kinds})
    else:
        width = max(map(len, kinds), default=0)
        lines = [f"{name:<{width}}  {kind}" for name, kind in kinds.items()]
        say("\n".join([*lines, f"wrote {out}"]))
