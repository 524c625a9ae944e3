use rule fit_predictor as fit_nearest_perturbations with:
    input:
        dataset=DATASET,
        split=SPLIT,
        code=code("fit_predictor"),
        gene_sets=files_named_by("nearest_perturbations"),
    output:
        update(fits_of("nearest_perturbations")),
    log:
        log_of("nearest_perturbations"),
    benchmark:
        benchmark_of("nearest_perturbations")
    params:
        method="nearest_perturbations",
        settings=settings_of("nearest_perturbations"),
