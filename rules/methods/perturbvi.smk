use rule fit_factors as fit_perturbvi with:
    output:
        update(fits_of("perturbvi")),
    log:
        log_of("perturbvi"),
    benchmark:
        benchmark_of("perturbvi")
    params:
        method="perturbvi",
        settings=settings_of("perturbvi"),
