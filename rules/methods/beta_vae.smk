use rule fit_model as fit_beta_vae with:
    output:
        fits_of("beta_vae"),
    log:
        log_of("beta_vae"),
    benchmark:
        benchmark_of("beta_vae")
    params:
        model="BetaVAE",
        settings=settings_of("beta_vae", scope.training),
