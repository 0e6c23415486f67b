"""Options that several commands share."""

from pathlib import Path

import click

from edgeq.cli import names

json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on standard output."
)
probe_option = click.option(
    "--probe",
    metavar="SERIAL",
    shell_complete=names.probes,
    help="Among several boards of a kind the one whose probe has this serial number.",
)
verbose_option = click.option(
    "--verbose", is_flag=True, help="Say on what the figures rest: timing rules, sources, flags."
)
compiler_option = click.option(
    "--compiler",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "gcc", "zig"]),
    help="auto: arm-none-eabi-gcc when it is on PATH, else the ziglang wheel.",
)
out_option = click.option(
    "--out",
    default="build/export",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The folder to write.",
)
input_shape_option = click.option(
    "--input-shape",
    metavar="SIZES",
    help="Of an .onnx file that leaves sizes open, without the batch, e.g. 1,49,10.",
)
firmware_option = click.option(
    "--firmware",
    default="build/export",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The folder that `edgeq export` wrote.",
)
