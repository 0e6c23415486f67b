"""Users' own TOML files: of bounded size, with a byte order mark or without."""

import tomllib
from pathlib import Path
from typing import Any

from edgeq.errors import BadInput

MOST_BYTES = 1 << 20


def read_toml(path: str | Path, what: str) -> dict[str, Any]:
    """The tables of a `what` ("plan"). Raises BadInput for a file that cannot be read, is too
    large, or is no TOML.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise BadInput(f"{path} has more than {MOST_BYTES:,} bytes, too many for a {what}")
        return tomllib.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise BadInput(f"the {what} {path} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path} is no {what}: it cannot be read as TOML: {error}") from None
    except RecursionError:
        raise BadInput(f"{path} is no {what}: it is nested too deeply") from None
