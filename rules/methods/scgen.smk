use rule fit_autoencoder as fit_scgen with:
    output:
        update(fits_of("scgen")),
    log:
        log_of("scgen"),
    benchmark:
        benchmark_of("scgen")
    params:
        method="scgen",
        settings=settings_of("scgen"),
