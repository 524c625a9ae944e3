use rule fit_scvi_tools as fit_scarches with:
    output:
        update(fits_of("scarches")),
    log:
        log_of("scarches"),
    benchmark:
        benchmark_of("scarches")
    params:
        method=plain_text("scarches"),
        settings=settings_of("scarches"),
