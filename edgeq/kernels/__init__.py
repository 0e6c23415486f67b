"""C kernels as data: the table, and the weight formats they read."""

from edgeq.kernels.packing import PACKINGS, Packing, pack_masks, weight_rows
from edgeq.kernels.table import KERNELS, WHOLE_ROWS, Kernel, kernel_named, select, whole_norm

__all__ = [
    "KERNELS",
    "PACKINGS",
    "WHOLE_ROWS",
    "Kernel",
    "Packing",
    "kernel_named",
    "pack_masks",
    "select",
    "weight_rows",
    "whole_norm",
]
