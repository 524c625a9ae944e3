"""What to keep of a published file: the options of :func:`svae.datasets.prepare.prepare`."""

from pydantic import Field, PositiveInt

from svae.options import Options

Scalar = str | int | float | bool


class Bounds(Options):
    """A range of values, both ends included."""

    min: float | None = None
    """Smallest value to keep."""
    max: float | None = None
    """Largest value to keep."""


class Preparation(Options):
    """How a dataset is made of a published file: first cells are chosen, then genes."""

    label: str
    """Column of `obs` that names the perturbation of a cell; cells without a label are left out."""
    control: str | None = None
    """Label of unperturbed cells in that column; they become `control`."""
    separator: str | None = None
    """What joins the parts of a combination in that column, such as `_`. Parts are sorted and joined by `+`,
    and parts equal to `control` are dropped: `B_ctrl_A` becomes `A+B`."""
    batch: str | None = None
    """Column of `obs` to correct for."""
    layer: str | None = None
    """Layer that holds the raw counts; by default they are in `X`."""
    gene_column: str | None = None
    """Column of `var` that names the genes; by default their index does. Repeated names get `-1`, `-2`, …"""
    filters: dict[str, Scalar | list[Scalar] | Bounds] = Field(default={})
    """Cells to keep: column of `obs` to a value, a list of values, or bounds."""
    perturbations: list[str] | None = None
    """Perturbations to keep, as they are named after renaming, beside the control."""
    min_cells: PositiveInt | None = None
    """Perturbations with fewer cells are left out."""
    max_cells: PositiveInt | None = None
    """Cells of a perturbation, and of the control, to keep at most: a random draw."""
    genes: list[str] | None = None
    """Genes to keep; cells without counts in them are left out."""
    gene_lists: str | None = None
    """JSON file with lists `perturbations` and `genes` to keep, instead of those two keys."""
    top_genes: PositiveInt | None = None
    """Number of highly variable genes to keep (Stuart et al. 2019, `seurat_v3` of scanpy). They are chosen
    on all cells that are kept, those of held-out perturbations included, because a dataset is prepared once
    for all its splits; labels are not looked at. To keep held-out cells out of the choice, use `genes`."""
    citation: str = ""
    """Where the data were published; a download takes it from the table of studies."""
    licence: str = ""
    """Licence of the data; a download takes it from the table of studies."""
