use rule fit_predictor as fit_mean_response with:
    output:
        update(fits_of("mean_response")),
    log:
        log_of("mean_response"),
    benchmark:
        benchmark_of("mean_response")
    params:
        method="mean_response",
        settings=settings_of("mean_response"),
