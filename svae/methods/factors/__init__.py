"""Linear factor models with sparse shifts: sVAE+ with a linear decoder."""
