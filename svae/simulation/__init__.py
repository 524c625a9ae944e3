"""Simulation: screens whose truth is known."""
