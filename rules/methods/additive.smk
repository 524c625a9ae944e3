use rule fit_predictor as fit_additive with:
    output:
        update(fits_of("additive")),
    log:
        log_of("additive"),
    benchmark:
        benchmark_of("additive")
    params:
        method="additive",
        settings=settings_of("additive"),
