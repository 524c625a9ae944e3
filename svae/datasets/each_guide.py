"""Guides as perturbations of their own: a truth that real screens have.

Sibling guides aim at one target, so a method should find them alike. Non-targeting guides aim at none, so a
method should find that they do nothing, if it does not know them for controls.
"""

import anndata as ad
import numpy as np
import pandas as pd

from svae.datasets.left_out import LeftOut
from svae.errors import BenchmarkError
from svae.seeds import seed_from
from svae.words import CONTROL


def label_by_guide(dataset: ad.AnnData, seed: int, left_out: LeftOut, fewest: int = 1) -> ad.AnnData:
    """Make each guide of a dataset a perturbation, and keep what it aims at.

    Half of the guides of the control stay the control, more than half of an odd number. Each of the others
    is a perturbation that aims at nothing. Guides with too few cells are left out, and so are cells without a
    guide, unless they are control cells. A cell whose guide is called like its perturbation has none.

    Parameters
    ----------
    dataset
        A dataset (:mod:`svae.contracts.dataset`) with the guide of each cell in ``obs["guide"]``.
    seed
        Of the draw of the guides that stay the control.
    left_out
        Takes note of what is left out; its file is named in error messages.
    fewest
        Cells that a guide needs to be a perturbation.

    Returns
    -------
    The cells that are left, with the guide, or the control, in ``obs["perturbation"]``, and the target of
    the guide in ``obs["target"]``, which is the control's label for non-targeting guides.

    Raises
    ------
    BenchmarkError
        If no guide is known, or one aims at several targets.
    """
    targets = dataset.obs["perturbation"].astype(str)
    guides = dataset.obs.get("guide", targets).astype(object)
    guides = guides.mask(guides == targets)
    if guides.isna().all():
        raise BenchmarkError(f"{left_out.file}: its guides are not known; name their column as `guide`")
    aims = pd.DataFrame({"guide": guides, "target": targets}).dropna().drop_duplicates()
    repeated = aims[aims["guide"].duplicated(keep=False)]
    if len(repeated):
        guide, several = repeated["guide"].iloc[0], ", ".join(sorted(repeated["target"]))
        raise BenchmarkError(f"{left_out.file}: guide '{guide}' aims at several targets ({several})")
    non_targeting = sorted(aims.loc[aims["target"] == CONTROL, "guide"])
    random = np.random.default_rng(seed_from(seed, "non-targeting guides"))
    apart = set(random.permutation(non_targeting)[: len(non_targeting) // 2])
    pooled = (targets == CONTROL) & ~guides.isin(apart)
    labels = guides.mask(pooled, CONTROL)
    sizes = labels[~pooled].value_counts()
    rare = sorted(sizes.index[sizes < fewest])
    left_out.add("cells", int(labels.isna().sum()), "of a perturbation, without a guide")
    left_out.add("guides", len(rare), f"with fewer than {fewest} cells", rare)
    kept = (labels.notna() & (pooled | ~labels.isin(rare))).to_numpy()
    found = dataset[kept].copy()
    found.obs["target"] = pd.Categorical(targets[kept])
    found.obs["perturbation"] = pd.Categorical(labels[kept].astype(str))
    return found
