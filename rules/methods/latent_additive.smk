rule fit_latent_additive:
    input:
        dataset=DATASET,
        split=SPLIT,
        code=code("fit_latent_additive"),
    output:
        update(fits_of("latent_additive")),
    log:
        log_of("latent_additive"),
    benchmark:
        benchmark_of("latent_additive")
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=memory_mb,
        runtime=120,
    params:
        settings=settings_of("latent_additive"),
        timeout_minutes=timeout_minutes,
    script:
        "../../workflow_scripts/fit_latent_additive.py"
