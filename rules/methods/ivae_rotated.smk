use rule fit_model as fit_ivae_rotated with:
    output:
        fits_of("ivae_rotated"),
    log:
        log_of("ivae_rotated"),
    benchmark:
        benchmark_of("ivae_rotated")
    params:
        model="RotatedIVAE",
        settings=settings_of("ivae_rotated", scope.training),
