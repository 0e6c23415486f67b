"""The release that this is: in what edgeq writes, and in its package."""

__version__ = "0.1.0"
