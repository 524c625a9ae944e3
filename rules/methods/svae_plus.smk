use rule fit_model as fit_svae_plus with:
    output:
        fits_of("svae_plus"),
    log:
        log_of("svae_plus"),
    benchmark:
        benchmark_of("svae_plus")
    params:
        model="SVAEPlus",
        settings=settings_of("svae_plus", scope.training),
