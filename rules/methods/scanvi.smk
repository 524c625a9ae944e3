use rule fit_scvi_tools as fit_scanvi with:
    output:
        update(fits_of("scanvi")),
    log:
        log_of("scanvi"),
    benchmark:
        benchmark_of("scanvi")
    params:
        method=plain_text("scanvi"),
        settings=settings_of("scanvi"),
