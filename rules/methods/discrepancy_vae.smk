use rule fit_moved_control as fit_discrepancy_vae with:
    output:
        update(fits_of("discrepancy_vae")),
    log:
        log_of("discrepancy_vae"),
    benchmark:
        benchmark_of("discrepancy_vae")
    params:
        method="discrepancy_vae",
        settings=settings_of("discrepancy_vae"),
