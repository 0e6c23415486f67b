"""The group of all commands, and what becomes of their errors."""

import contextlib
import io
import os
import signal
import sys
from pathlib import Path

import click

from edgeq.cli.bench import bench
from edgeq.cli.boards import boards
from edgeq.cli.compare import compare
from edgeq.cli.completion import completion
from edgeq.cli.config import config
from edgeq.cli.doctor import doctor
from edgeq.cli.estimate import estimate
from edgeq.cli.export import export
from edgeq.cli.farm import farm
from edgeq.cli.flash import flash
from edgeq.cli.group import CommandGroup, nearest_project
from edgeq.cli.inspect import inspect
from edgeq.cli.listen import listen
from edgeq.cli.meters import meters
from edgeq.cli.mix import mix
from edgeq.cli.ops import ops
from edgeq.cli.output import Interrupted, say
from edgeq.cli.pareto import advise, pareto
from edgeq.cli.plan import plan
from edgeq.cli.profile import profile
from edgeq.cli.quantize import quantize
from edgeq.cli.report import report
from edgeq.cli.search import search
from edgeq.cli.stop import stop
from edgeq.cli.verify import verify
from edgeq.errors import BadInput, EdgeqError, Toolchain, abridged
from edgeq.extras import extra_of, install
from edgeq.version import __version__

COMMANDS: tuple[click.Command, ...] = (
    export,
    quantize,
    inspect,
    plan,
    pareto,
    advise,
    search,
    estimate,
    verify,
    mix,
    ops,
    flash,
    profile,
    listen,
    farm,
    report,
    compare,
    boards,
    meters,
    stop,
    doctor,
    bench,
    config,
    completion,
)
WITHOUT_PROJECT = ("completion", "doctor")  # they help where the file is at fault
EPILOG = """\b
Every command takes --help, and --show-config, which tells where its values come from.
Exit codes: 0 ok, 2 usage or bad data or file, 3 unsupported op or model, 4 does not fit,
5 no board or link, 6 mismatch or failed comparison, 7 no usable compiler or tool,
8 board held by another user, 130 interrupted.
"""


@click.group(
    cls=CommandGroup,
    commands={str(command.name): command for command in COMMANDS},
    context_settings={"max_content_width": 100, "auto_envvar_prefix": "EDGEQ"},
    epilog=EPILOG,
)
@click.version_option(__version__)
@click.pass_context
def cli(context: click.Context) -> None:
    """From a trained quantized mixture of experts to a microcontroller that runs it.

    Values come from the command line, then EDGEQ_COMMAND_OPTION in the environment, then the
    nearest edgeq.toml, then the defaults.
    """
    file = nearest_project(Path.cwd())
    if file is None or context.invoked_subcommand in WITHOUT_PROJECT:
        return
    from edgeq.cli.project import read_project

    context.default_map, context.obj = read_project(cli, file), file


def _end(number: int, _frame: object) -> None:
    """A request to end runs what cleans up, as Ctrl-C does; the code is the shell's for it."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def main() -> None:
    """Entry point: one clear line for an error, and its exit code."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(number) is signal.SIG_DFL:  # not under nohup
            signal.signal(number, _end)
    code = _run()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except OSError as error:
        code = _unwritten(error)
    sys.exit(code)


def _run() -> int:
    """The command, and the exit code that it ends with."""
    try:
        cli(prog_name="edgeq", standalone_mode=False)  # `python -m edgeq` is the same
    except (click.exceptions.Abort, KeyboardInterrupt) as error:
        left = str(error) if isinstance(error, Interrupted) else ""
        say(f"edgeq: interrupted{left and f'; {left}'}", err=True)
        return 130
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        say(abridged(shown.getvalue().rstrip("\n")), err=True)
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "edgeq":
            raise  # a fault of edgeq, not of what is installed
        extra = extra_of(error.name or "")
        fix = install(extra) if extra else "`edgeq doctor` has the fix"
        say(f"edgeq: package {error.name} is missing; {fix}", err=True)
        return Toolchain.exit_code
    except EdgeqError as error:
        told = str(error).replace("\n", "\n  ")  # a name with a line end forges no line
        say(f"edgeq: {told}", err=True)
        return error.exit_code
    except OSError as error:
        return _unwritten(error) if error.filename is None else _unusable(error)
    except SystemExit as end:
        if end.code != 1:
            raise
        return _unwritten(BrokenPipeError())  # where click and rich meet one
    return 0


def _unusable(error: OSError) -> int:
    """A file or folder that fails where no command expects it: full, gone, not permitted."""
    name = abridged(str(error.filename))
    say(f"edgeq: {name}: {error.strerror}; choose another, or free it", err=True)
    return BadInput.exit_code


def _unwritten(error: OSError) -> int:
    """Standard output takes no more; what is left of it must not be tried again at the end."""
    with contextlib.suppress(OSError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return 128 + 13  # as any program that SIGPIPE ends: the reader has seen enough
    with contextlib.suppress(OSError):
        say(f"edgeq: cannot write the result: {error.strerror or error}", err=True)
    return BadInput.exit_code
