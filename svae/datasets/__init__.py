"""Datasets: what a file must hold, where studies come from, how they are prepared and split."""

from svae.datasets.contract import read_dataset, validate_counts, validate_dataset, write_dataset

__all__ = ["read_dataset", "validate_counts", "validate_dataset", "write_dataset"]
