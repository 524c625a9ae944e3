"""Models of scvi-tools as they are: scVI, scANVI, contrastiveVI, scArches; the library trains them."""
