use rule fit_linear as fit_pca with:
    output:
        update(fits_of("pca")),
    log:
        log_of("pca"),
    benchmark:
        benchmark_of("pca")
    params:
        method="pca",
        settings=settings_of("pca"),
