"""Gene sets that a latent moves: enrichment analysis of the genes of each latent."""

from collections.abc import Mapping, Sequence

import pandas as pd

from svae.differential import adjusted

PERMUTATIONS = 1000
FEWEST, MOST = 5, 500
"""Sets with fewer, or more, genes of the dataset are left out."""

COLUMNS = ("latent", "gene_set", "genes", "score", "p", "p_adjusted", "leading")


def enrichment(changes: pd.DataFrame, gene_sets: Mapping[str, Sequence[str]], seed: int = 0) -> pd.DataFrame:
    """Score each set of genes on each latent, by the places of its genes among all genes.

    Gene set enrichment analysis (Subramanian et al. 2005) as gseapy does it (Fang et al. 2023), with genes
    ranked by their change. The null hypothesis is that the set is a random draw of genes.

    Parameters
    ----------
    changes
        Log2 fold change of each gene if the latent grows by 1, latent × gene.
    gene_sets
        Genes of each set. Sets that hold fewer than :data:`FEWEST` or more than :data:`MOST` genes of the
        dataset are left out.
    seed
        Of the :data:`PERMUTATIONS` permutations.

    Returns
    -------
    One row per latent and set: ``latent``, ``gene_set``, number of its ``genes`` in the dataset, normalised
    enrichment ``score`` (above 0 if the latent moves the set up), ``p``, ``p_adjusted`` (over all sets and
    latents of the fit, Benjamini & Hochberg 1995) and the ``leading`` genes, separated by semicolons.
    """
    found = {name: sorted(set(members) & set(changes.columns)) for name, members in gene_sets.items()}
    tested = {name: members for name, members in found.items() if FEWEST <= len(members) <= MOST}
    if not tested or changes.empty:
        return pd.DataFrame(columns=COLUMNS)

    import gseapy  # seconds to import, and few runs have gene sets

    results = [
        gseapy.prerank(
            rnk=change,
            gene_sets=tested,
            min_size=FEWEST,
            max_size=MOST,
            permutation_num=PERMUTATIONS,
            seed=seed,
            threads=1,
            outdir=None,
        ).res2d.assign(latent=latent)
        for latent, change in changes.iterrows()
    ]
    table = pd.concat(results, ignore_index=True).rename(
        columns={"Term": "gene_set", "NES": "score", "NOM p-val": "p", "Lead_genes": "leading"}
    )
    # No p is smaller than one of so many permutations can show.
    table["p"] = table["p"].astype(float).clip(lower=1 / (PERMUTATIONS + 1))
    [table["p_adjusted"]] = adjusted(table[["p"]].to_numpy().T)
    table["genes"] = table["gene_set"].map({name: len(members) for name, members in tested.items()})
    return table.sort_values(["latent", "p_adjusted", "gene_set"], ignore_index=True)[list(COLUMNS)]
