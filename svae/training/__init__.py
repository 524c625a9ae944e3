"""Training: fleets of modules, and every number of their optimisation."""
