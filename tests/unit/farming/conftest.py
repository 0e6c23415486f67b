"""The command line in this process."""

from tests.unit.cli.conftest import edgeq as edgeq
