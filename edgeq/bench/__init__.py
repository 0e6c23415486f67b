"""Benchmarks of the kernels on a board, each result held to the reference."""

from edgeq.bench.cases import CASES, Case
from edgeq.bench.kernels import bench_kernels

__all__ = ["CASES", "Case", "bench_kernels"]
