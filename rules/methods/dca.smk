rule fit_dca:
    input:
        dataset=DATASET,
        split=SPLIT,
        code=code("fit_dca"),
    output:
        update(fits_of("dca")),
    log:
        log_of("dca"),
    benchmark:
        benchmark_of("dca")
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        gpu=gpus,
        mem_mb=memory_mb,
        runtime=240,
    params:
        settings=settings_of("dca"),
        timeout_minutes=timeout_minutes,
        accelerator=accelerator,
    script:
        "../../workflow_scripts/fit_dca.py"
