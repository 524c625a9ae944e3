"""Where the files of a job lie, below `results/<scope>/`: patterns with the names of the job in braces."""

JOB = "{dataset}/{split}/rep{replicate}"
DATASET = "data/{dataset}/rep{replicate}.h5ad"
FIT = f"fits/{JOB}/{{method}}/{{setting}}.h5ad"
