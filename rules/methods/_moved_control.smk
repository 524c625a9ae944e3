# What networks have in common that turn control cells into perturbed ones; the rules beside this one say which.


rule fit_moved_control:
    input:
        dataset=DATASET,
        split=SPLIT,
        code=code("fit_moved_control"),
    log:
        f"{LOGS}/fit_moved_control.log",
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=memory_mb,
        runtime=120,
    params:
        timeout_minutes=timeout_minutes,
        keep_models=keep_models,
    script:
        "../../workflow_scripts/fit_moved_control.py"
