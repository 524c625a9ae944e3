"""What a method says that perturbations do: size and direction of their effects on the latents."""

import numpy as np
import pandas as pd

from svae.contracts.tables import stack
from svae.report.tables import Tables
from svae.targets import THRESHOLD
from svae.words import CONTROL

NEGLIGIBLE = 0.05
"""An effect shorter than this share of the longest one of its replicate counts as none."""
NEAREST = ("perturbation", "size", "other", "similarity")
"""A held-out perturbation, the size of its shift, a trained perturbation, and how alike they are."""


def trained_targets(tables: Tables) -> pd.DataFrame:
    """Targets of the trained perturbations, for all methods that tell them; never of anchors."""
    targets = tables.targets
    trained = (targets["part"] == "trained") & (targets["perturbation"] != CONTROL)
    told = targets["method"].isin(tables.order) & targets["probability"].notna()
    return targets[trained & told]


def effects(targets: pd.DataFrame) -> pd.DataFrame:
    """Weigh the shifts of one fit by the probabilities that they are there.

    Parameters
    ----------
    targets
        Rows of the table of targets for one method and replicate. A method that tells no shifts has
        its probabilities as effects, without a sign.

    Returns
    -------
    Perturbation × latent, in the units of the latents: probability × shift. A row is NaN where the
    perturbation has no effect, and so no direction: no latent is a target (probability above
    :data:`svae.targets.THRESHOLD`), or the row is shorter than :data:`NEGLIGIBLE`
    times the longest. A mask that is open on a tiny, random shift is no effect.
    """
    weighted = targets.assign(effect=targets["probability"] * targets["shift"].fillna(1))
    table = weighted.pivot(index="perturbation", columns="latent", values="effect")
    sizes = pd.Series(np.linalg.norm(table, axis=1), table.index)
    has_target = targets.groupby("perturbation")["probability"].max() > THRESHOLD
    longest = sizes[has_target].max()
    return table.where(has_target & (sizes > 0) & (sizes >= NEGLIGIBLE * longest), axis=0)


def nearest_trained(targets: pd.DataFrame, number: int) -> pd.DataFrame:
    """Find the trained perturbations that each held-out one is most like, according to one fit.

    The measure is the cosine of the angle between the shift that was adapted to cells of the held-out
    perturbation and the effect of the trained one.

    Parameters
    ----------
    targets
        Rows of the table of targets for one fit.
    number
        How many to find.

    Returns
    -------
    One row per held-out perturbation and trained one, the nearest first: ``perturbation``, ``size`` of its
    shift, ``other`` and ``similarity``. Empty if the fit tells no shifts of held-out perturbations.
    """
    is_held_out = (targets["part"] == "held_out") & targets["shift"].notna()
    trained = targets[(targets["part"] == "trained") & (targets["perturbation"] != CONTROL)]
    known = effects(trained).dropna()
    shifts = targets[is_held_out].pivot(index="perturbation", columns="latent", values="shift")
    sizes = pd.Series(np.linalg.norm(shifts, axis=1), shifts.index, name="size")
    cosine = _unit(shifts[sizes > 0]) @ _unit(known.reindex(columns=shifts.columns)).T
    pairs = cosine.rename_axis(columns="other").stack().rename("similarity").reset_index()
    pairs = pairs.sort_values("similarity", ascending=False, kind="stable").join(sizes, on="perturbation")
    nearest = pairs.groupby("perturbation", sort=False).head(number)
    order = ["size", "perturbation", "similarity"]
    nearest = nearest.sort_values(order, ascending=[False, True, False], ignore_index=True)
    return nearest[list(NEAREST)]


def nearest_of_held_out(targets: pd.DataFrame, number: int) -> pd.DataFrame:
    """Find the trained perturbations that each held-out one is most like, where it was held out first.

    Parameters
    ----------
    targets
        Rows of the table of targets for one method.
    number
        How many to find.

    Returns
    -------
    ``dataset``, ``split``, ``replicate`` and ``setting`` of the fit, that of the first replicate which held
    the perturbation out, then what :func:`nearest_trained` finds in it.
    """
    fit = ["dataset", "split", "replicate", "setting"]
    found = []
    for names, of_fit in targets.groupby(fit, sort=False):
        nearest = nearest_trained(of_fit, number)
        found.append(nearest.assign(**dict(zip(fit, names, strict=True))))
    table = stack(found, [*fit, *NEAREST])
    first = table.groupby(["dataset", "split", "perturbation"])["replicate"].transform("min")
    return table[table["replicate"] == first].reset_index(drop=True)


def _unit(table: pd.DataFrame) -> pd.DataFrame:
    """Divide each row by its length."""
    return table.div(np.linalg.norm(table, axis=1), axis=0)


def effect_sizes(targets: pd.DataFrame) -> pd.Series:
    """Mean length of each perturbation's effect over the replicates of one method; 0 where there is none."""
    sizes = []
    for _, replicate in targets.groupby("replicate"):
        table = effects(replicate).fillna(0)
        sizes.append(pd.Series(np.linalg.norm(table, axis=1), table.index))
    return pd.concat(sizes).groupby(level=0).mean()


def similarity(targets: pd.DataFrame) -> pd.DataFrame:
    """Compare the directions of the effects of all pairs of perturbations, according to one method.

    The measure is the cosine of the angle between two effects. It does not depend on the order and
    signs of the latents, so replicates can be averaged.

    Parameters
    ----------
    targets
        Rows of the table of targets for one method, with one fit per replicate.

    Returns
    -------
    One row per ordered pair, a perturbation with itself included: ``perturbation``, ``other``, mean
    ``similarity`` over the ``n`` replicates in which both have an effect (NaN for none), and ``together``,
    the number of replicates that trained on both.
    """
    replicates = []
    for _, replicate in targets.groupby("replicate"):
        table = effects(replicate)
        cosine = (_unit(table) @ _unit(table).T).rename_axis(index="perturbation", columns="other")
        replicates.append(cosine.stack(future_stack=True).rename("similarity").reset_index())
    pairs = pd.concat(replicates).groupby(["perturbation", "other"])["similarity"]
    table = pairs.agg(similarity="mean", n="count", together="size")
    names = sorted(set(targets["perturbation"]))
    every_pair = pd.MultiIndex.from_product([names, names], names=["perturbation", "other"])
    table = table.reindex(every_pair)
    return table.fillna({"n": 0, "together": 0}).astype({"n": int, "together": int}).reset_index()
