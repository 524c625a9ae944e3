"""What to keep of a published file: the options of :func:`svae.datasets.prepare.prepare`."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from svae.errors import BenchmarkError
from svae.options import Options
from svae.values import Count, Number, Text, Texts

Scalar = str | int | Annotated[float, Field(allow_inf_nan=False)] | bool

JOINT_OF_COLUMNS = ":"
"""What joins the entries of several columns; ``+`` joins the parts of a combination."""

NOT_OF_CELLS = (
    *("guide", "each_guide", "batch", "layer", "gene_column", "genes", "min_cells_per_gene", "top_genes"),
    *("top_genes_on", "keep_perturbed", "min_cells", "max_cells", "max_control_cells", "citation", "licence"),
)
"""Options of a preparation that make no difference to the cells that are fetched.

Perturbations with few cells are fetched, too, so that preparing can tell that they are left out.
"""


def _regular_expression(text: str) -> str:
    """Refuse what is no regular expression of Python."""
    try:
        re.compile(text)
    except re.error as error:
        raise PydanticCustomError(
            "pattern", "not a regular expression ({problem})", {"problem": str(error)}
        ) from None
    return text


Pattern = Annotated[Text, AfterValidator(_regular_expression)]


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
    """How a dataset is made of a published file: first cells are chosen, then genes.

    Patterns are regular expressions of Python, which have to match a whole entry. What is left out is told in
    the table `left_out.tsv` of a run.
    """

    label: Text | Texts
    """Column of `obs` that names the perturbation of a cell, or several columns, such as perturbation and
    stimulation, whose entries are joined by `:`; other keys speak of the joined entries. Cells without a
    label are left out."""
    guide_pattern: Pattern | None = None
    """Merges guides to their targets: a pattern for the labels, whose groups, joined, are the target. With
    `(.+)_[0-9]+`, the guides ZAP70_1 and ZAP70_2 become ZAP70. Each label that is no control has to match."""
    guide_table: Text | None = None
    """Merges guides to their targets: a tab-separated file with columns `guide` and `target`. Each label that
    is no control has to be in it."""
    guide: Text | Texts | None = None
    """Column of `obs` that names the guide of a cell, to compare guides of one target with one another; by
    default the label, where guides are merged. A cell without an entry gets the name of its perturbation."""
    each_guide: bool = False
    """Whether each guide is a perturbation of its own, to ask whether guides of one target act alike and
    whether non-targeting guides do nothing. Half of the control's guides, drawn, stay the control; each of
    the others is a perturbation. Guides with fewer than `min_cells` cells are left out, too."""
    control: Text | Texts | None = None
    """Label of unperturbed cells, or several, such as the names of all non-targeting guides; they become
    `control`. A target to which guides are merged can be named, too."""
    control_pattern: Pattern | None = None
    """Pattern of further labels of unperturbed cells, such as `NT_[0-9]+`."""
    separator: Text | None = None
    """What joins the parts of a combination in a label, such as `_`; some label has to have it. Parts are
    merged by guide, sorted and joined by `+`, and controls among them are dropped: `B_ctrl_A` becomes `A+B`.
    Where the parts are in several columns, it is `:`."""
    batch: Text | Texts | None = None
    """Column of `obs` to correct for, or several, whose entries are joined by `:`. Cells without an entry are
    left out."""
    layer: Text | None = None
    """Layer that holds the raw counts; by default they are in `X`. Where no layer is called `raw`, this name
    stands for the matrix and the genes of `.raw`."""
    gene_column: Text | None = None
    """Column of `var` that names the genes; by default their index does, which can also be given by its name.
    Repeated names get `-1`, `-2`, …"""
    filters: dict[str, Scalar | Annotated[list[Scalar], Field(min_length=1)] | Bounds] = Field(default={})
    """Cells to keep: column of `obs` to a value, a list of values, or bounds. Numbers are compared as
    numbers: 1 keeps 1.0, and "1" in a column of text."""
    perturbations: Texts | None = None
    """Perturbations to keep, as they are named after renaming, beside the control; each has to be there."""
    min_cells: Count | None = None
    """Perturbations with fewer cells are left out."""
    max_cells: Count | None = None
    """Cells of a perturbation, and of the control, to keep at most: a random draw."""
    max_control_cells: Count | None = None
    """Cells of the control to keep at most, instead of `max_cells`."""
    genes: Texts | None = None
    """Genes to keep, by the names that the dataset gives them or by the index of `var`; each has to be there.
    Cells without counts in them are left out."""
    gene_lists: Text | None = None
    """JSON file with lists `perturbations` and `genes` to keep, instead of those two keys. Names in it that
    the data lack are passed over."""
    min_cells_per_gene: Count | None = None
    """Genes that are counted in fewer of the chosen cells are left out."""
    top_genes: Count | None = None
    """Number of highly variable genes to keep (Stuart et al. 2019, `seurat_v3` of scanpy); labels are not
    looked at."""
    top_genes_on: Literal["control", "all"] = "control"
    """Cells on which these are chosen. A dataset is prepared once for all its splits, and none of them holds
    control cells out: with `control`, no held-out cell takes part in the choice. With `all`, which most
    studies do, each chosen cell does, those of held-out perturbations included."""
    keep_perturbed: bool = True
    """Whether genes that perturbations are called after stay, beside the `top_genes` and those that
    `min_cells_per_gene` keeps."""
    citation: str = ""
    """Where the data were published; a download takes it from the table of studies."""
    licence: str = ""
    """Licence of the data; a download takes it from the table of studies."""

    @model_validator(mode="after")
    def _lists_come_from_one_place(self) -> "Preparation":
        for file, keys in (("gene_lists", ("perturbations", "genes")), ("guide_table", ("guide_pattern",))):
            for key in keys:
                if getattr(self, file) is not None and getattr(self, key) is not None:
                    raise BenchmarkError(f"{file} stands in the place of {key}; give one of the two")
        return self

    @model_validator(mode="after")
    def _patterns_have_a_target(self) -> "Preparation":
        if self.guide_pattern is not None and re.compile(self.guide_pattern).groups == 0:
            raise BenchmarkError(
                f"guide_pattern: '{self.guide_pattern}' has no group; put the target in parentheses, "
                "as in '(.+)_[0-9]+'"
            )
        return self

    @model_validator(mode="after")
    def _guides_are_known(self) -> "Preparation":
        if self.each_guide and self.guide is None and not self.merges_guides:
            raise BenchmarkError("each_guide: its guides are not known; name their column as `guide`")
        return self

    @model_validator(mode="after")
    def _batches_are_no_perturbations(self) -> "Preparation":
        for column in listed(self.batch):
            if column in listed(self.label):
                raise BenchmarkError(f"batch and label are the same column '{column}'")
        return self

    @model_validator(mode="after")
    def _columns_are_joined_in_one_way(self) -> "Preparation":
        """Refuse a separator by which the entry of a column would belong to one part alone."""
        if len(listed(self.label)) > 1 and self.separator not in (None, JOINT_OF_COLUMNS):
            raise BenchmarkError(
                f"separator is '{self.separator}', but label lists several columns, which are joined by "
                f"'{JOINT_OF_COLUMNS}'; give '{JOINT_OF_COLUMNS}', if each names a part of a combination"
            )
        return self

    @model_validator(mode="after")
    def _top_genes_are_some_of_the_genes(self) -> "Preparation":
        if self.genes is not None and self.top_genes is not None and self.top_genes >= len(self.genes):
            raise BenchmarkError(
                f"top_genes is {self.top_genes}, but genes lists no more than {len(self.genes)}"
            )
        return self

    @property
    def merges_guides(self) -> bool:
        """Whether labels are guides, which are merged to their targets."""
        return self.guide_pattern is not None or self.guide_table is not None


def listed(names: str | list[str] | None) -> list[str]:
    """Return names as a list, where a single one may stand for itself.

    >>> listed("a"), listed(["a", "b"]), listed(None)
    (['a'], ['a', 'b'], [])
    """
    return [names] if isinstance(names, str) else list(names or [])
