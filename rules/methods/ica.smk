use rule fit_linear as fit_ica with:
    output:
        update(fits_of("ica")),
    log:
        log_of("ica"),
    benchmark:
        benchmark_of("ica")
    params:
        method="ica",
        settings=settings_of("ica"),
