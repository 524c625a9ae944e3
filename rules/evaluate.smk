rule summarise_responses:
    input:
        dataset=DATASET,
        split=SPLIT,
        gene_sets=gene_sets_of,
        code=code("summarise_responses"),
    output:
        RESPONSE,
    log:
        f"{LOGS}/summarise_responses/{JOB}.log",
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=memory_mb,
        runtime=15,
    script:
        "../workflow_scripts/summarise_responses.py"


rule evaluate:
    input:
        fits=fits_to_evaluate,
        split=SPLIT,
        truth=truth_of,
        response=RESPONSE,
        other_folds=responses_of_other_folds,
        code=code("evaluate"),
    output:
        metrics=f"{METRICS}.tsv",
        status=f"{METRICS}.status.tsv",
        history=f"{METRICS}.history.tsv.gz",
        held_out=f"{METRICS}.held_out.tsv.gz",
        targets=f"{METRICS}.targets.tsv.gz",
        perturbations=f"{METRICS}.perturbations.tsv.gz",
        latent_genes=f"{METRICS}.latent_genes.tsv.gz",
        predictive=f"{METRICS}.predictive.tsv.gz",
    log:
        f"{LOGS}/evaluate/{JOB}/{{method}}.log",
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=memory_mb,
        runtime=20,
    params:
        run=run_of,
        settings=settings_to_evaluate,
        metrics=scope.metrics,
        seed=seed_of_split,
    script:
        "../workflow_scripts/evaluate.py"


rule describe:
    input:
        datasets=first_replicates(),
        gene_sets=list(GENE_SETS.values()),
        code=code("describe"),
    output:
        datasets=TABLES["datasets"],
        settings=TABLES["settings"],
        pathways=TABLES["pathways"],
        left_out=(
            report(
                LEFT_OUT,
                caption="../reports/captions/left_out.rst",
                category="Tables",
                labels={"table": "What preparation left out"},
            )
            if scope.real
            else []
        ),
    log:
        f"{LOGS}/describe.log",
    conda:
        "../envs/analysis.yaml"
    params:
        config=CONFIG,
    script:
        "../workflow_scripts/describe.py"


rule collect:
    input:
        metrics=evaluations(".tsv"),
        status=evaluations(".status.tsv"),
        history=evaluations(".history.tsv.gz"),
        held_out=evaluations(".held_out.tsv.gz"),
        code=code("collect"),
    output:
        metrics=TABLES["metrics"],
        status=report(
            TABLES["status"],
            caption="../reports/captions/status.rst",
            category="Tables",
            labels={"table": "How every run ended"},
        ),
        history=TABLES["history"],
        held_out=TABLES["held_out"],
    log:
        f"{LOGS}/collect.log",
    conda:
        "../envs/analysis.yaml"
    script:
        "../workflow_scripts/collect.py"


rule completeness:
    input:
        status=TABLES["status"],
        code=code("completeness"),
    output:
        report(
            COMPLETENESS,
            caption="../reports/captions/completeness.rst",
            category="Tables",
            labels={"table": "Completeness"},
        ),
    log:
        f"{LOGS}/completeness.log",
    conda:
        "../envs/analysis.yaml"
    params:
        folders={"fits": f"{RESULTS}/fits", "logs": f"{LOGS}/fits"},
    script:
        "../workflow_scripts/completeness.py"


rule select_settings:
    input:
        metrics=TABLES["metrics"],
        status=TABLES["status"],
        targets=evaluations(".targets.tsv.gz"),
        perturbations=evaluations(".perturbations.tsv.gz"),
        latent_genes=evaluations(".latent_genes.tsv.gz"),
        predictive=evaluations(".predictive.tsv.gz"),
        code=code("select_settings"),
    output:
        selected=TABLES["selected"],
        targets=TABLES["targets"],
        perturbations=TABLES["perturbations"],
        latent_genes=TABLES["latent_genes"],
        predictive=TABLES["predictive"],
    log:
        f"{LOGS}/select_settings.log",
    conda:
        "../envs/analysis.yaml"
    params:
        rule=scope.selection.rule,
        fixed=scope.selection.fixed,
        hindsight_metric=scope.selection.hindsight_metric,
    script:
        "../workflow_scripts/select_settings.py"


rule enrich:
    input:
        latent_genes=TABLES["latent_genes"],
        gene_sets=list(GENE_SETS.values()),
        code=code("enrich"),
    output:
        TABLES["enrichment"],
    log:
        f"{LOGS}/enrich.log",
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        gene_sets=GENE_SETS,
        seed=scope.seed,
    script:
        "../workflow_scripts/enrich.py"


rule embed:
    input:
        selected=TABLES["selected"],
        datasets=[DATASET.format(**job._asdict()) for job in first_jobs_of_reference()],
        splits=[SPLIT.format(**job._asdict()) for job in first_jobs_of_reference()],
        fits=[
            FIT.format(**job._asdict(), setting=setting)
            for job in first_jobs_of_reference()
            for setting in names_of(scope.reference)
        ],
        code=code("embed"),
    output:
        TABLES["embedding"],
    log:
        f"{LOGS}/embed.log",
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        rule=scope.selection.rule,
        seed=scope.seed,
        jobs=[scope.in_tables(job)._asdict() for job in first_jobs_of_reference()],
        settings=names_of(scope.reference),
    script:
        "../workflow_scripts/embed.py"


rule warn:
    input:
        metrics=TABLES["metrics"],
        status=TABLES["status"],
        selected=TABLES["selected"],
        settings=TABLES["settings"],
        code=code("warn"),
    output:
        report(
            TABLES["warnings"],
            caption="../reports/captions/warnings.rst",
            category="Tables",
            labels={"table": "Warnings"},
        ),
    log:
        f"{LOGS}/warn.log",
    conda:
        "../envs/analysis.yaml"
    params:
        rule=scope.selection.rule,
    script:
        "../workflow_scripts/warn.py"


rule rank:
    input:
        metrics=TABLES["metrics"],
        held_out=TABLES["held_out"],
        selected=TABLES["selected"],
        methods=here("config/methods.tsv"),
        code=code("rank"),
    output:
        TABLES["leaderboard"],
    log:
        f"{LOGS}/rank.log",
    conda:
        "../envs/analysis.yaml"
    params:
        reference=scope.reference,
    script:
        "../workflow_scripts/rank.py"
