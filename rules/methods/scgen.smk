rule fit_scgen:
    input:
        dataset=DATASET,
        split=SPLIT,
        code=code("fit_scgen"),
    output:
        update(fits_of("scgen")),
    log:
        log_of("scgen"),
    benchmark:
        benchmark_of("scgen")
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        gpu=gpus,
        mem_mb=memory_mb,
        runtime=240,
    params:
        settings=settings_of("scgen"),
        timeout_minutes=timeout_minutes,
        accelerator=accelerator,
    script:
        "../../workflow_scripts/fit_scgen.py"
