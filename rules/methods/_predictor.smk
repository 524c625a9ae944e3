# What methods have in common that predict profiles without training a model; the rules beside this one say which.


rule fit_predictor:
    input:
        dataset=DATASET,
        split=SPLIT,
        code=code("fit_predictor"),
    log:
        f"{LOGS}/fit_predictor.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=memory_mb,
        runtime=30,
    params:
        timeout_minutes=timeout_minutes,
    script:
        "../../workflow_scripts/fit_predictor.py"
