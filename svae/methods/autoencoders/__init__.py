"""Autoencoders of single cells that are no model classes of the family, trained by the same fleet."""
