"""C kernels as data: the table, and the weight formats they read."""

from edgeq.kernels.packing import PACKINGS, Packing, pack_masks, weight_rows
from edgeq.kernels.table import KERNELS, Kernel, kernel_named, select

__all__ = [
    "KERNELS",
    "PACKINGS",
    "Kernel",
    "Packing",
    "kernel_named",
    "pack_masks",
    "select",
    "weight_rows",
]
