use rule fit_predictor as fit_technical_duplicate with:
    output:
        update(fits_of("technical_duplicate")),
    log:
        log_of("technical_duplicate"),
    benchmark:
        benchmark_of("technical_duplicate")
    params:
        method="technical_duplicate",
        settings=settings_of("technical_duplicate"),
