"""Sums come in; posteriors and weights go out. Mathematics on arrays, nothing else."""
