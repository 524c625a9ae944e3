use rule fit_autoencoder as fit_dca with:
    output:
        update(fits_of("dca")),
    log:
        log_of("dca"),
    benchmark:
        benchmark_of("dca")
    params:
        method="dca",
        settings=settings_of("dca"),
