"""Where TensorFlow Lite Micro's answer may differ from the integer reference, and by how much.

Its kernels have the contract's arithmetic, so every operator is equal byte for byte but these,
which the contract defines better than TensorFlow Lite's operators can say them.
"""

from collections.abc import Mapping

# op, or part of a mixture -> largest difference in steps of its own output, given equal inputs
STEPS_APART: Mapping[str, int] = {
    # int16 squares are coarse: 1 from an input deviation of 10 steps on; more where epsilon
    # outweighs the variance, which leaves few steps to both
    "LayerNorm": 4,
    "GroupNorm": 4,
    "Softmax": 1,
    "PRelu": 2,  # its slopes are int8
    "gate": 1,  # of a mixture whose experts are weighted by the router's probabilities
}
# of a Bayesian router, and of a cascade's signal but the gap: absolute
UNCERTAINTY_APART = 0.01
