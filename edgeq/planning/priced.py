"""`edgeq plan --learn`: widths that training learns against what they cost on the board (DiffQ)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeq.arrays import input_arrays, read_npz
from edgeq.errors import BadInput
from edgeq.planning.program import Costs

if TYPE_CHECKING:
    from edgeq.nn import Model

AGAINST = {"flash": "weight_bytes", "latency": "cycles", "energy": "cycles"}


@dataclass(frozen=True)
class Priced:
    """`data`: an .npz file with keys x and y to train on. `price`: of all layers' costs, as a share
    of what the widest widths cost, beside the cross entropy.
    """

    data: Path
    against: str = "latency"
    price: float = 0.1
    epochs: int = 10

    def check(self) -> None:
        """BadInput for what can be told before anything runs."""
        if self.against not in AGAINST:
            raise BadInput(f"--against is {self.against!r}; choose from {', '.join(AGAINST)}")
        if not 0 <= self.price < math.inf or self.epochs < 1:
            raise BadInput(
                f"--price {self.price:g}, --epochs {self.epochs}: give a price of 0 or more, and "
                "1 epoch or more"
            )

    def learned(self, model: "Model", costs: Costs) -> dict[str, Any]:
        """The widths of a float model, and the bits that they were rounded from, as plain JSON."""
        from edgeq.nn import learn_widths
        from edgeq.nn.sensitivity import classifies

        if not classifies(model):
            raise BadInput(
                f"--learn: {model.name} is no classifier, whose labels it could learn by"
            )
        given = input_arrays(self.data, model.inputs)
        x: object = given if len(given) > 1 else next(iter(given.values()))
        (y,) = read_npz(self.data, "y")
        table = self._table(costs)
        found = learn_widths(model, (x, y), table, self.price, epochs=self.epochs, progress=False)
        return {
            "widths": found.widths,
            "bits": found.bits,
            "against": self.against,
            "price": self.price,
            "epochs": self.epochs,
            "data": str(self.data),
            "loss": found.history.epochs[-1].train_loss,
        }

    def _table(self, costs: Costs) -> Mapping[str, Mapping[str, float]]:
        metric = AGAINST[self.against]
        return {
            name: {kind: float(getattr(choice, metric)) for kind, choice in choices.items()}
            for name, choices in costs.layers.items()
        }
