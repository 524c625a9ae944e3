# One rule per model class that the scope names: the method is called after the file of the class.

for method in filter(is_model, scope.methods):

    rule:
        name:
            f"fit_{method}"
        input:
            dataset=DATASET,
            split=SPLIT,
            code=code("fit_model"),
            model=with_imports(f"svae/models/family/{method}.py"),
        output:
            update(fits_of(method)),
        log:
            log_of(method),
        benchmark:
            benchmark_of(method)
        conda:
            "../envs/models.yaml"
        threads: 1
        resources:
            **GPU,
            mem_mb=memory_mb,
            runtime=240,
        params:
            method=plain_text(method),
            settings=settings_of(method, scope.training),
            timeout_minutes=timeout_minutes,
            likelihood_samples=scope.likelihood_samples,
            accelerator=accelerator,
            fleet_size=fleet_size,
            keep_models=keep_models,
        script:
            "../workflow_scripts/fit_model.py"
