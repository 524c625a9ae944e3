"""Methods: what fits a dataset and writes a fit file."""
