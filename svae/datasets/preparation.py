"""What to keep of a published file: the options of :func:`svae.datasets.prepare.prepare`."""

from typing import Annotated

from pydantic import Field, model_validator

from svae.errors import BenchmarkError
from svae.options import Options
from svae.values import Count, Number, Text, Texts

Scalar = str | int | Annotated[float, Field(allow_inf_nan=False)] | bool


class Bounds(Options):
    """A range of values, both ends included."""

    min: Number | None = None
    """Smallest value to keep."""
    max: Number | None = None
    """Largest value to keep."""

    @model_validator(mode="after")
    def _some_values_are_within(self) -> "Bounds":
        """Refuse bounds that no value passes, or that all values pass."""
        if self.min is None and self.max is None:
            raise BenchmarkError("give min, max or both")
        lowest = float("-inf") if self.min is None else self.min
        highest = float("inf") if self.max is None else self.max
        if not lowest <= highest:
            raise BenchmarkError(f"no value is between min {lowest:g} and max {highest:g}")
        return self


class Preparation(Options):
    """How a dataset is made of a published file: first cells are chosen, then genes."""

    label: Text
    """Column of `obs` that names the perturbation of a cell; cells without a label are left out."""
    control: Text | None = None
    """Label of unperturbed cells in that column; they become `control`."""
    separator: Text | None = None
    """What joins the parts of a combination in that column, such as `_`; some label has to have it. Parts are
    sorted and joined by `+`, and parts equal to `control` are dropped: `B_ctrl_A` becomes `A+B`."""
    batch: Text | None = None
    """Column of `obs` to correct for."""
    layer: Text | None = None
    """Layer that holds the raw counts; by default they are in `X`."""
    gene_column: Text | None = None
    """Column of `var` that names the genes; by default their index does. Repeated names get `-1`, `-2`, …"""
    filters: dict[str, Scalar | Annotated[list[Scalar], Field(min_length=1)] | Bounds] = Field(default={})
    """Cells to keep: column of `obs` to a value, a list of values, or bounds."""
    perturbations: Texts | None = None
    """Perturbations to keep, as they are named after renaming, beside the control; each has to be there."""
    min_cells: Count | None = None
    """Perturbations with fewer cells are left out."""
    max_cells: Count | None = None
    """Cells of a perturbation, and of the control, to keep at most: a random draw."""
    genes: Texts | None = None
    """Genes to keep, each of which has to be there; cells without counts in them are left out."""
    gene_lists: Text | None = None
    """JSON file with lists `perturbations` and `genes` to keep, instead of those two keys. Names in it that
    the data lack are passed over."""
    top_genes: Count | None = None
    """Number of highly variable genes to keep (Stuart et al. 2019, `seurat_v3` of scanpy). They are chosen
    on all cells that are kept, those of held-out perturbations included, because a dataset is prepared once
    for all its splits; labels are not looked at. To keep held-out cells out of the choice, use `genes`."""
    citation: str = ""
    """Where the data were published; a download takes it from the table of studies."""
    licence: str = ""
    """Licence of the data; a download takes it from the table of studies."""

    @model_validator(mode="after")
    def _lists_come_from_one_place(self) -> "Preparation":
        if self.gene_lists is not None:
            for key in ("perturbations", "genes"):
                if getattr(self, key) is not None:
                    raise BenchmarkError(f"gene_lists stands in the place of {key}; give one of the two")
        return self

    @model_validator(mode="after")
    def _batches_are_no_perturbations(self) -> "Preparation":
        if self.batch == self.label:
            raise BenchmarkError(f"batch and label are the same column '{self.label}'")
        return self

    @model_validator(mode="after")
    def _top_genes_are_some_of_the_genes(self) -> "Preparation":
        if self.genes is not None and self.top_genes is not None and self.top_genes >= len(self.genes):
            raise BenchmarkError(
                f"top_genes is {self.top_genes}, but genes lists no more than {len(self.genes)}"
            )
        return self
