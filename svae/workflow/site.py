"""What a cluster offers and wants to be told, as its site file says."""

from pathlib import Path
from typing import Any

from pydantic import Field

from svae.options import Options, checked
from svae.values import Count, Text, Texts
from svae.workflow.config_file import read_config


class Partition(Options):
    """Limits of a partition of a SLURM cluster, for one job; what is left out has none.

    The names are those of the partition file of snakemake-executor-plugin-slurm, which reads them, too.
    """

    max_runtime: Count | Text | None = None
    """Minutes, or a time with its unit: ``7d``, ``12h``, ``2-00:00:00``."""
    max_mem_mb: Count | None = None
    """Memory in MB."""
    max_mem_mb_per_cpu: Count | None = None
    """Memory per CPU in MB."""
    max_threads: Count | None = None
    """CPUs."""
    max_gpu: Count | None = None
    """GPUs; a partition that does not say has none."""
    available_gpu_models: Texts | None = None
    """What SLURM calls the models of its GPUs."""
    available_constraints: Texts | None = None
    """Features of its nodes that a job may ask for."""
    cluster: Text | None = None
    """Where SLURM manages several clusters: the one that the partition belongs to."""


class Site(Options):
    """A SLURM cluster: its partitions, how a job asks for a GPU, and who pays."""

    partitions: dict[str, Partition] = Field(default={})
    """Partitions by name; without any, all jobs go to the default partition, and ask for no GPU."""
    gpu: dict[str, Any] = Field(default={"gpu": 1}, min_length=1)
    """Resources of a job that needs one GPU: `gpu`, with or without `gpu_model`, or `gres`."""
    account: Text | None = None
    """Account that jobs are charged to."""
    qos: Text | None = None
    """Quality of service that jobs are sent with."""

    @classmethod
    def read(cls, path: str | Path) -> "Site":
        """Read the site file at `path`; a :class:`~svae.errors.BenchmarkError` says what is wrong with it."""
        return checked(cls, read_config(path), str(path))

    @property
    def has_gpus(self) -> bool:
        """Whether a partition has GPUs."""
        return any(partition.max_gpu for partition in self.partitions.values())

    def gpu_request(self, accelerator: str) -> dict[str, Any]:
        """Resources of a job that trains.

        Parameters
        ----------
        accelerator
            Where models are to be trained: ``cpu``, ``cuda``, or ``auto``, which asks for a GPU if there are
            any.
        """
        wanted = accelerator == "cuda" or (accelerator == "auto" and self.has_gpus)
        return dict(self.gpu) if wanted else {}
