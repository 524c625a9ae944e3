rule fit_oracle:
    input:
        dataset=DATASET,
        split=SPLIT,
        truth=truth_of,  # an anchor: no method may read this
        code=code("fit_oracle"),
        simulator=simulator_code,
    output:
        update(fits_of("oracle")),
    log:
        log_of("oracle"),
    benchmark:
        benchmark_of("oracle")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        settings=settings_of("oracle"),
        likelihood_samples=scope.likelihood_samples,
        timeout_minutes=timeout_minutes,
    script:
        "../../workflow_scripts/fit_oracle.py"
