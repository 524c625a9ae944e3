rule figure:
    input:
        **TABLES,
        registry=f"{workflow.basedir}/config/metrics.tsv",
        methods=f"{workflow.basedir}/config/methods.tsv",
        code=code("figure"),
    output:
        report(
            f"{RESULTS}/figures/{{figure}}.svg",
            caption="../reports/captions/{figure}.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        multiext(f"{RESULTS}/figures/{{figure}}", ".pdf", ".png", ".tsv"),
    log:
        f"{LOGS}/figures/{{figure}}.log",
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=15,
    params:
        rule=scope.rule,
        reference=scope.reference,
    script:
        "../workflow_scripts/figure.py"
