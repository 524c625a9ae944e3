"""Contracts: the files that pass between the rooms, checked whenever one is written or read."""
