# What the autoencoders have in common; the rules beside this one say which method it is.


rule fit_autoencoder:
    input:
        dataset=DATASET,
        split=SPLIT,
        code=code("fit_autoencoder"),
    log:
        f"{LOGS}/fit_autoencoder.log",
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        **GPU,
        mem_mb=memory_mb,
        runtime=240,
    params:
        timeout_minutes=timeout_minutes,
        accelerator=accelerator,
        keep_models=keep_models,
    script:
        "../../workflow_scripts/fit_autoencoder.py"
