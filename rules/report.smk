rule summary:
    input:
        **TABLES,
        methods=here("config/methods.tsv"),
        captions=[here(f"reports/captions/{part}.rst") for part in PARTS_TO_READ],
        picture=f"{RESULTS}/figures/cost.png",  # applies to every scope
        code=code("summary"),
    output:
        SUMMARY,
    log:
        f"{LOGS}/summary.log",
    conda:
        "../envs/analysis.yaml"
    params:
        scope=scope.name,
        view=VIEW,
        provenance=PROVENANCE,
    script:
        "../workflow_scripts/summary.py"


rule leaderboard:
    input:
        **TABLES,
        methods=here("config/methods.tsv"),
        code=code("leaderboard"),
    output:
        report(
            f"{RESULTS}/leaderboard.html",
            caption="../reports/captions/leaderboard.rst",
            category="Tables",
            labels={"table": "Leaderboard"},
        ),
    log:
        f"{LOGS}/leaderboard.log",
    conda:
        "../envs/analysis.yaml"
    params:
        view=VIEW,
    script:
        "../workflow_scripts/leaderboard.py"


rule perturbations:
    input:
        **TABLES,
        methods=here("config/methods.tsv"),
        code=code("perturbations"),
    output:
        report(
            PERTURBATIONS,
            caption="../reports/captions/perturbations.rst",
            category="Tables",
            labels={"table": "Perturbations"},
        ),
    log:
        f"{LOGS}/perturbations.log",
    conda:
        "../envs/analysis.yaml"
    params:
        view=VIEW,
    script:
        "../workflow_scripts/perturbations.py"


rule manifest:
    input:
        status=TABLES["status"],
        datasets=all_datasets,
        lock=here("requirements.lock"),
        code=code("manifest"),
    output:
        manifest=MANIFEST,
        page=report(
            f"{RESULTS}/manifest.html",
            caption="../reports/captions/manifest.rst",
            category="Tables",
            labels={"table": "Provenance"},
        ),
    log:
        f"{LOGS}/manifest.log",
    conda:
        "../envs/analysis.yaml"
    params:
        config=CONFIG,
        view=VIEW,
        root=here("."),
    script:
        "../workflow_scripts/manifest.py"


# Made on demand, also of a run of which something failed: snakemake reports/<scope>.zip
rule bundle:
    input:
        results=[
            *TABLES.values(),
            *([LEFT_OUT, PERTURBATIONS] if scope.real else []),
            *(COMPLETENESS, MANIFEST, f"{RESULTS}/manifest.html"),
            *(SUMMARY, f"{RESULTS}/leaderboard.html"),
            *expand(
                f"{RESULTS}/figures/{{figure}}.{{suffix}}",
                figure=FIGURES,
                suffix=["svg", "pdf", "png", "tsv"],
            ),
        ],
        page=written_report,
        methods=here("config/methods.tsv"),
        lock=here("requirements.lock"),
        code=code("bundle"),
    output:
        f"reports/{scope.name}.zip",
    log:
        f"{LOGS}/bundle.log",
    conda:
        "../envs/analysis.yaml"
    params:
        results=plain_text(RESULTS),
        config=CONFIG,
    script:
        "../workflow_scripts/bundle.py"


# Last of all: fails if any run failed, once everything that can be shown is there to be shown.
rule verdict:
    input:
        status=TABLES["status"],
        summary=SUMMARY,
        completeness=COMPLETENESS,
        leaderboard=f"{RESULTS}/leaderboard.html",
        perturbations=[PERTURBATIONS] if scope.real else [],
        manifest=MANIFEST,
        figures=expand(f"{RESULTS}/figures/{{figure}}.svg", figure=FIGURES),
        code=code("verdict"),
    output:
        VERDICT,
    log:
        f"{LOGS}/verdict.log",
    conda:
        "../envs/analysis.yaml"
    script:
        "../workflow_scripts/verdict.py"
