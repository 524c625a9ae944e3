use rule fit_moved_control as fit_latent_additive with:
    output:
        update(fits_of("latent_additive")),
    log:
        log_of("latent_additive"),
    benchmark:
        benchmark_of("latent_additive")
    params:
        method="latent_additive",
        settings=settings_of("latent_additive"),
