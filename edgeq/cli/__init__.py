"""The command line: one file for each command; the only place that prints or exits."""

from edgeq.cli.app import cli, main

__all__ = ["cli", "main"]
