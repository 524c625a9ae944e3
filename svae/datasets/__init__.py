"""Datasets: where studies come from, how they are prepared and split."""
