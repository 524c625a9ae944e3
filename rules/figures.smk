# One rule per figure, because the caption of a figure cannot hang on a wildcard.

for figure in FIGURES:

    rule:
        name:
            f"draw_{figure}"
        input:
            **TABLES,
            methods=here("config/methods.tsv"),
            code=code("figure"),
        output:
            report(
                f"{RESULTS}/figures/{figure}.svg",
                caption=f"../reports/captions/{figure}.rst",
                category="Figures",
                labels={"figure": title_of(figure)},
            ),
            multiext(f"{RESULTS}/figures/{figure}", ".pdf", ".png", ".tsv"),
        log:
            f"{LOGS}/figures/{figure}.log",
        group:
            "figures"
        conda:
            "../envs/analysis.yaml"
        resources:
            mem_mb=4000,
            runtime=5,
        params:
            figure=figure,
            view=VIEW,
        script:
            "../workflow_scripts/figure.py"
