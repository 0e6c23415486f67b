"""edgeq: from a trained quantized mixture of experts to a microcontroller that runs it."""

__version__ = "0.1.0"
