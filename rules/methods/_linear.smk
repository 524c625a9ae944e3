# What the linear methods have in common; the rules beside this one say which method it is.


rule fit_linear:
    input:
        dataset=DATASET,
        split=SPLIT,
        code=code("fit_linear"),
    log:
        f"{LOGS}/fit_linear.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=memory_mb,
        runtime=60,
    params:
        timeout_minutes=timeout_minutes,
    script:
        "../../workflow_scripts/fit_linear.py"
