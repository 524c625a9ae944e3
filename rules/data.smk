rule download:
    input:
        table=ancient(here("config/datasets.tsv")),  # a new row downloads nothing again
    output:
        "resources/{source}.h5ad",
    log:
        f"{LOGS}/download/{{source}}.log",
    conda:
        "../envs/analysis.yaml"
    script:
        "../workflow_scripts/download.py"


rule prepare:
    input:
        file=file_to_prepare,
        gene_lists=gene_lists_of,
        code=code("prepare"),
    output:
        expand(DATASET, replicate=range(scope.replicates), allow_missing=True),
    log:
        f"{LOGS}/prepare/{{dataset}}.log",
    wildcard_constraints:
        dataset=one_of(scope.real),
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=16000,
        runtime=120,
    params:
        preparation=preparation_of,
        seed=seed_of_preparation,
    script:
        "../workflow_scripts/prepare.py"


rule split:
    input:
        dataset=DATASET,
        pathways=pathways_of,
        code=code("split"),
    output:
        SPLIT,
    log:
        f"{LOGS}/split/{{dataset}}/{{split}}/rep{{replicate}}.log",
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=15,
    params:
        plan=split_plan,
        seed=seed_of_split,
    script:
        "../workflow_scripts/split.py"
