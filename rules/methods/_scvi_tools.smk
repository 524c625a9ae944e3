# What the models of scvi-tools have in common; the rules beside this one say which model it is.


rule fit_scvi_tools:
    input:
        dataset=DATASET,
        split=SPLIT,
        code=code("fit_scvi_tools"),
    log:
        f"{LOGS}/fit_scvi_tools.log",
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        **GPU,
        mem_mb=memory_mb,
        runtime=240,
    params:
        timeout_minutes=timeout_minutes,
        likelihood_samples=scope.likelihood_samples,
        accelerator=accelerator,
        keep_models=keep_models,
    script:
        "../../workflow_scripts/fit_scvi_tools.py"
