"""Figures: one function each, from tables to a picture and the numbers that it shows."""
