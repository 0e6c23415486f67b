"""`edgeq completion`: what a shell needs to complete commands, options, boards and kernels."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="The completion script of a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    bash:  edgeq completion bash > ~/.local/share/bash-completion/completions/edgeq
    zsh:   edgeq completion zsh > ~/.zfunc/_edgeq     (with ~/.zfunc in fpath)
    fish:  edgeq completion fish > ~/.config/fish/completions/edgeq.fish
    """
    kind = get_completion_class(shell)
    root = click.get_current_context().find_root().command
    assert kind is not None
    click.echo(kind(root, {}, "edgeq", "_EDGEQ_COMPLETE").source())
