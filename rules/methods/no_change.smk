use rule fit_predictor as fit_no_change with:
    output:
        update(fits_of("no_change")),
    log:
        log_of("no_change"),
    benchmark:
        benchmark_of("no_change")
    params:
        method="no_change",
        settings=settings_of("no_change"),
