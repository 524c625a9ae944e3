use rule fit_predictor as fit_linear_embeddings with:
    output:
        update(fits_of("linear_embeddings")),
    log:
        log_of("linear_embeddings"),
    benchmark:
        benchmark_of("linear_embeddings")
    params:
        method="linear_embeddings",
        settings=settings_of("linear_embeddings"),
