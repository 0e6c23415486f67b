"""Cycles of layers that were counted before, in the user's cache: by shape, board and compiler.

What it holds changes no result, only how long it takes: a count is a function of its key. A file
that cannot be read is begun anew.
"""

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeq.board import Board
from edgeq.emit.firmware_layers import Layer
from edgeq.emit.kernel_version import kernel_version
from edgeq.files import write_file
from edgeq.kernels import Kernel
from edgeq.plain_json import decode_json
from edgeq.toolchain import Compiler

MOST_BYTES = 4 << 20
NAME = "edgeq/kernel_cycles.json"


def default_path() -> Path | None:
    """Where the user's caches are; None without a home."""
    base = os.environ.get("XDG_CACHE_HOME") or (
        str(Path(os.environ["HOME"]) / ".cache") if os.environ.get("HOME") else ""
    )
    return Path(base) / NAME if base else None


def key_of(layer: Layer, kernel: Kernel, board: Board, compiler: Compiler) -> str:
    """A digest of all that a count depends on but for the values of weights."""
    graph, node = layer.graph, layer.node
    attrs = {k: str(v) for k, v in vars(node.attrs).items()}
    shapes = [list(graph.type_of(n).shape) for n in (*node.inputs, *node.outputs)]
    params = {k: list(graph.type_of(n).shape) for k, n in sorted(node.params.items())}
    own = board.model_dump(mode="json", include={"core", "flash", "ram", "first_load_extra"})
    facts = {
        "kernel": kernel.name,
        "kernels": kernel_version(),
        "compiler": compiler.label,
        "board": own,
        "layer": [node.op, attrs, shapes, params],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@dataclass
class CountCache:
    """Counts by key_of; `path` None keeps them for this run alone."""

    path: Path | None
    counts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def opened(cls, path: Path | None) -> "CountCache":
        """With what the file holds, nothing for one that is damaged."""
        return cls(path, _read(path) if path else {})

    def get(self, key: str) -> int | None:
        return self.counts.get(key)

    def put(self, key: str, cycles: int) -> None:
        """Kept at once: a search that is cut goes on from there."""
        self.counts[key] = cycles
        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_file(self.path, json.dumps(self.counts, sort_keys=True).encode())
            except OSError:
                self.path = None  # a read-only home: counted again the next time


def _read(path: Path) -> dict[str, int]:
    try:
        if path.stat().st_size > MOST_BYTES:
            return {}
        found: Any = decode_json(path.read_bytes())
    except (OSError, ValueError):
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {str(k): v for k, v in entries if type(v) is int and v >= 0}
