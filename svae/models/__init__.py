"""Models: neural networks with the conventions of scvi-tools."""
