# What the linear factor models have in common; the rules beside this one say which method it is.


rule fit_factors:
    input:
        dataset=DATASET,
        split=SPLIT,
        code=code("fit_factors"),
    log:
        f"{LOGS}/fit_factors.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=memory_mb,
        runtime=60,
    params:
        timeout_minutes=timeout_minutes,
    script:
        "../../workflow_scripts/fit_factors.py"
