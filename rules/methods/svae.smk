use rule fit_model as fit_svae with:
    output:
        fits_of("svae"),
    log:
        log_of("svae"),
    benchmark:
        benchmark_of("svae")
    params:
        model="SVAE",
        settings=settings_of("svae", scope.training),
