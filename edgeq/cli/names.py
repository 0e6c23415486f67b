"""What a shell completes after an option: boards, targets, kernels, tools, meters, ports."""

import click
from click.shell_completion import CompletionItem

Items = list[CompletionItem]


def boards(_ctx: click.Context, _param: click.Parameter, begun: str) -> Items:
    """Boards, by name or alias."""
    from edgeq.board import all_boards

    return _starting(
        begun, {name: b.description for b in all_boards() for name in (b.name, *b.aliases)}
    )


def virtual_boards(
    _ctx: click.Context, _param: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Boards of edgeq's own simulator."""
    from edgeq.board import all_boards

    virtual = [board for board in all_boards() if "virtual" in board.probe.flashers]
    return _starting(begun, {board.name: board.description for board in virtual})


def targets(ctx: click.Context, param: click.Parameter, begun: str) -> Items:
    """Cores and boards."""
    from edgeq.cores import CORES

    cores = _starting(begun, dict.fromkeys(CORES, "a core: sizes only"))
    return cores + boards(ctx, param, begun)


def kernels(_ctx: click.Context, _param: click.Parameter, begun: str) -> Items:
    """Kernels, by their full names."""
    from edgeq.kernels import KERNELS

    return _starting(begun, {kernel.name: kernel.op for kernel in KERNELS})


def tools(ctx: click.Context, _param: click.Parameter, begun: str) -> Items:
    """Flashing tools: those of --board when it is given."""
    from edgeq.board import find_boards
    from edgeq.flashers import FLASHERS

    named = find_boards(str(ctx.params.get("board") or ""))
    known = named[0].probe.flashers if len(named) == 1 else FLASHERS
    return _starting(begun, dict.fromkeys(known, ""))


def meters(_ctx: click.Context, _param: click.Parameter, begun: str) -> Items:
    """Current meters."""
    from edgeq.harness.meters import METERS

    return _starting(begun, {name: kind.title for name, kind in METERS.items()})


def ports(_ctx: click.Context, _param: click.Parameter, begun: str) -> Items:
    """Serial ports of this computer and of the emulated boards that run."""
    from edgeq import flashers

    named = {device.port: device.usb_id for device in flashers.look().devices}
    named |= {record.port: record.board for record in flashers.running()}
    return _starting(begun, named)


def probes(_ctx: click.Context, _param: click.Parameter, begun: str) -> Items:
    """Serial numbers of the probes, boot loaders and serial devices that are attached."""
    from edgeq.flashers import look
    from edgeq.flashers.usb import known_devices

    around = look()
    numbers = {d.serial_number: d.name for d in known_devices(around)}
    numbers |= {device.serial_number: device.port for device in around.devices}
    return _starting(begun, {number: what for number, what in numbers.items() if number})


def _starting(begun: str, names: dict[str, str]) -> Items:
    return [
        CompletionItem(name, help=help) for name, help in names.items() if name.startswith(begun)
    ]
