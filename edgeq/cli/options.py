"""Options that several commands share."""

from collections.abc import Callable
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
place_option = click.option(
    "--place", metavar="NAME", help="A board of a labgrid farm, reserved and released again."
)
coordinator_option = click.option(
    "--coordinator", metavar="HOST:PORT", help="Of the farm.  [default: LG_COORDINATOR, or here]"
)
labgrid_option = click.option(
    "--labgrid",
    envvar="EDGEQ_LABGRID",
    type=click.Path(path_type=Path),
    help="labgrid-client, or the environment it is in.  [default: the one on PATH]",
)
baud_option = click.option(
    "--baud", default=115200, show_default=True, help="As `edgeq flash --baud`."
)
port_option = click.option(
    "--port",
    shell_complete=names.ports,
    help="The board's serial port; without it, the only board there is.",
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
run_option = click.option(
    "--run",
    type=click.Path(path_type=Path),
    help="The folder of this study, empty or new.  [default: the next of build/studies]",
)
bits_option = click.option(
    "--bits", default="1.58,2,3,4,8", show_default=True, help="The widths, separated by commas."
)
labelled_option = click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="An .npz file with key x, and y for a loss against labels (default: MODEL's rows).",
)


def seat_options(command: Callable[..., None]) -> Callable[..., None]:
    """Where a board is and what runs on it: what `edgeq.seat` is asked for."""
    asked = (port_option, place_option, coordinator_option, labgrid_option, probe_option)
    for option in reversed((*asked, firmware_option, baud_option)):
        command = option(command)
    return command
