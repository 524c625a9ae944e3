use rule fit_model as fit_vae with:
    output:
        fits_of("vae"),
    log:
        log_of("vae"),
    benchmark:
        benchmark_of("vae")
    params:
        model="VAE",
        settings=settings_of("vae", scope.training),
