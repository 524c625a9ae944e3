# What the models of svae have in common; the rules beside this one say which model, for which method.


rule fit_model:
    input:
        dataset=DATASET,
        split=SPLIT,
        code=code("fit_model"),
    log:
        f"{LOGS}/fit_model.log",
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        gpu=gpus,
        mem_mb=memory_mb,
        runtime=240,
    params:
        timeout_minutes=timeout_minutes,
        likelihood_samples=scope.likelihood_samples,
        accelerator=scope.accelerator,
        fleet_size=scope.fleet_size,
    script:
        "../../workflow_scripts/fit_model.py"
