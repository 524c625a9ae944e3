use rule fit_model as fit_ivae with:
    output:
        fits_of("ivae"),
    log:
        log_of("ivae"),
    benchmark:
        benchmark_of("ivae")
    params:
        model="IVAE",
        settings=settings_of("ivae", scope.training),
