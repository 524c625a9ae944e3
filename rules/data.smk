rule download:
    input:
        table=ancient(here("config/datasets.tsv")),  # a new row downloads nothing again
    output:
        update("resources/{source}.h5ad"),  # a file that is there already is verified and stays
    log:
        f"{LOGS}/download/{{source}}.log",
    wildcard_constraints:
        source=one_of(SOURCES),  # a user's own file beside them is never an output
    conda:
        "../envs/analysis.yaml"
    script:
        "../workflow_scripts/download.py"


rule fetch_rows:
    input:
        table=ancient(here("config/datasets.tsv")),
        lists=lists_of,
    output:
        ROWS.format(scope=scope.name, dataset="{dataset}"),
    log:
        f"{LOGS}/fetch_rows/{{dataset}}.log",
    wildcard_constraints:
        dataset=one_of(scope.real),
    conda:
        "../envs/analysis.yaml"
    params:
        source=source_of,
        preparation=choice_of_cells,
    script:
        "../workflow_scripts/fetch_rows.py"


rule data:
    input:
        files_to_fetch,


rule prepare:
    input:
        file=file_to_prepare,
        lists=lists_of,
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
        mem_mb=memory_mb,
        runtime=10,
    params:
        plan=split_plan,
        seed=seed_of_split,
    script:
        "../workflow_scripts/split.py"
