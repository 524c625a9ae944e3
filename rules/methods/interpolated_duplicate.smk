use rule fit_predictor as fit_interpolated_duplicate with:
    output:
        update(fits_of("interpolated_duplicate")),
    log:
        log_of("interpolated_duplicate"),
    benchmark:
        benchmark_of("interpolated_duplicate")
    params:
        method="interpolated_duplicate",
        settings=settings_of("interpolated_duplicate"),
