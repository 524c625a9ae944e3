use rule fit_scvi_tools as fit_scvi with:
    output:
        update(fits_of("scvi")),
    log:
        log_of("scvi"),
    benchmark:
        benchmark_of("scvi")
    params:
        method=plain_text("scvi"),
        settings=settings_of("scvi"),
