"""Evaluation: metrics of fits, the choice of settings, and the statistics of replicates."""
