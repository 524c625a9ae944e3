"""Choose the held-out perturbations of a dataset, and the part of each cell."""

from svae.contracts.dataset import read_dataset
from svae.contracts.split import write_split
from svae.datasets.splits import read_pathways, split
from svae.workflow.logs import start

start(snakemake.log[0])
dataset = read_dataset(snakemake.input.dataset)
options = dict(snakemake.params.plan)
options.pop("pathways", None)
if snakemake.input.pathways:
    options["pathways"] = read_pathways(snakemake.input.pathways[0])
if options["kind"] == "largest_effect":
    from svae.datasets.effects import effect_sizes  # here, because it imports scanpy

    options["effects"] = effect_sizes(dataset)
labels = dataset.obs["perturbation"]
write_split(split(labels, seed=snakemake.params.seed, **options), snakemake.output[0], labels)
