use rule fit_factors as fit_gsfa with:
    output:
        update(fits_of("gsfa")),
    log:
        log_of("gsfa"),
    benchmark:
        benchmark_of("gsfa")
    params:
        method="gsfa",
        settings=settings_of("gsfa"),
