"""The table of costs: every layer at every width, from one firmware a width.

What a layer takes does not depend on the others' widths: activations are int8 whatever the weights
are. So as many firmwares as there are widths give every layer's cost at every width; code that one
kernel's layers share is told apart by file.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeq.board import Board
from edgeq.planning.counted import Counted, count_or_roomy
from edgeq.planning.program import Choice, Costs
from edgeq.reference import quantize_rows
from edgeq.sources import Trained
from edgeq.toolchain import Compiler

if TYPE_CHECKING:
    from edgeq.nn import Model

DIGEST = "0" * 64
Watch = Callable[[int, int, str], None]
Losses = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Bench:
    """What counts models: a board with its compiler, and how the rounding is chosen (nn.quantize).

    `x`: rows that calibrate, None for the model's own.
    """

    board: Board
    compiler: Compiler
    x: object = None
    ptq: str = "fast"

    def quantized(self, model: "Model", widths: Mapping[str, str]) -> "Model":
        """The float model with a width for each layer with weights."""
        from edgeq.nn import quantize

        kinds = list(widths.values())
        most = max(kinds, key=kinds.count)
        keep = {name: kind for name, kind in widths.items() if kind != most}
        return quantize(model, self.x, most, keep, ptq=self.ptq, progress=False)

    def count(self, made: "Model") -> Counted:
        """A quantised model on the board, or where that has no room for it on one like it."""
        source = Trained(DIGEST, made)
        x = source.rows(None)
        graph = source.quantized(x, "mse", self.board.features, None).graph
        return count_or_roomy(graph, quantize_rows(graph, x[:1]), self.board, self.compiler)


def uniform(
    bench: Bench, model: "Model", layers: Sequence[str], kinds: Sequence[str], watch: Watch
) -> dict[str, Counted]:
    """The model with one width throughout, for each width, on a board with room for it."""
    found = {}
    for at, kind in enumerate(kinds):
        watch(at, len(kinds), f"{kind} on {bench.board.name}")
        made = bench.quantized(model, dict.fromkeys(layers, kind))
        found[kind] = bench.count(made)
    watch(len(kinds), len(kinds), "")
    return found


def cost_table(layers: Sequence[str], counts: Mapping[str, Counted], losses: Losses) -> Costs:
    """The integer program's table. What no width decides is of the width where it is most."""
    code: dict[str, int] = {}
    for found in counts.values():
        code |= found.code_bytes
    choices: dict[str, dict[str, Choice]] = {name: {} for name in layers}
    rest = []
    for kind, found in counts.items():
        own = {layer.name: layer for layer in found.layers}
        fixed_ram = found.ram_bytes - found.arena_bytes
        for name in layers:
            layer = own[name]
            choices[name][kind] = Choice(
                layer.cycles,
                layer.weight_bytes,
                fixed_ram + layer.step_bytes,
                losses[name][kind],
                layer.code & code.keys(),
            )
        rest.append(_rest(found, layers, code))
    most = [max(column) for column in zip(*rest, strict=True)]
    return Costs(choices, most[0], int(most[1]), int(most[2]), code)


def _rest(
    found: Counted, layers: Sequence[str], code: Mapping[str, int]
) -> tuple[float, float, float]:
    """Cycles, flash and RAM of a firmware without its layers with weights."""
    weighted = [layer for layer in found.layers if layer.name in layers]
    files = {file for layer in weighted for file in layer.code} & code.keys()
    others = [layer for layer in found.layers if layer.name not in layers]
    shared = {file for layer in others for file in layer.code}
    return (
        found.cycles - sum(layer.cycles for layer in weighted),
        found.flash_bytes
        - sum(layer.weight_bytes for layer in weighted)
        - sum(found.code_bytes.get(file, 0) for file in files - shared),
        found.ram_bytes - found.arena_bytes + max([0, *(layer.step_bytes for layer in others)]),
    )
