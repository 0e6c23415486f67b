"""A row of the kernel table: what one C function computes, takes and needs."""

from dataclasses import dataclass

from edgeq.kernels.in_place import InPlace, nowhere
from edgeq.kernels.layer_needs import Scratch, Suits, any_shape, no_scratch
from edgeq.kernels.streams import trits
from edgeq.kernels.streams.stream import Stream
from edgeq.ops.log_mel import FRONT_ENDS

DSP, MVE, V6M = "dsp", "mve", "v6m"
RECURRENT = ("Gru", "Lstm", "Mgu")
WITH_SCRATCH = (
    *("Conv2D", "Mixture", *FRONT_ENDS),
    *RECURRENT,
    *(f"{op}Step" for op in RECURRENT),
)


@dataclass(frozen=True)
class Kernel:
    """One function. `op` is what an op of the graph names in its column `code`; several may name
    one. Gate, Band, Part, Staged and Confidence belong to no node of their own.

    weight: packing token, None for kernels without weights. isa: "" for plain C, or one above.
    stream: how its weights are laid out; None for the packed rows of the token.
    sources and headers: files of firmware_templates/kernels that a firmware with it needs.
    scratch: bytes of 8-byte-aligned scratch for a node. needs: CPU features the code cannot
    do without. suits: whether a layer of that shape gains by it over the rows behind it.
    in_place: the node's inputs, by number, that its output may begin at the same place as.
    """

    name: str
    op: str
    weight: str | None
    sources: tuple[str, ...]
    headers: tuple[str, ...]
    scratch: Scratch = no_scratch
    isa: str = ""
    needs: frozenset[str] = frozenset()
    stream: Stream | None = None
    suits: Suits = any_shape
    in_place: InPlace = nowhere

    @property
    def packing(self) -> str | None:
        """The token of its weights in flash: that of the format but for five trits in a byte."""
        return "t5" if self.stream is trits.T5 else self.weight

    @property
    def takes_scratch(self) -> bool:
        """Whether the function has a scratch argument (its size may still be 0 for a node)."""
        return self.op in WITH_SCRATCH or self.stream is not None
