use rule fit_scvi_tools as fit_contrastive_vi with:
    output:
        update(fits_of("contrastive_vi")),
    log:
        log_of("contrastive_vi"),
    benchmark:
        benchmark_of("contrastive_vi")
    params:
        method=plain_text("contrastive_vi"),
        settings=settings_of("contrastive_vi"),
