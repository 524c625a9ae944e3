"""Tables of a run that never was, with the columns and words of real ones, for the tests of the report."""

from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from svae.evaluation.leaderboard import leaderboard
from svae.evaluation.metrics import metrics_table
from svae.evaluation.selection import HINDSIGHT, select
from svae.evaluation.warning import warnings_of_run
from svae.files import write_table
from svae.report.methods_table import read_methods
from svae.report.tables import COLUMNS, Tables
from svae.simulation import parameters

METHODS_TABLE = Path(__file__).resolve().parents[1] / "config" / "methods.tsv"
GRIDS = {
    "svae_plus": {"penalty": (10, 30, 70, 200, 1000)},
    "svae": {"penalty": (1, 10, 100)},
    "pca": {"n_latent": (3, 5)},
}
SKILL = {
    "svae_plus": 0.85,
    "svae": 0.6,
    "ivae": 0.52,
    "beta_vae": 0.48,
    "vae": 0.46,
    "ica": 0.44,
    "pca": 0.4,
    "oracle": 0.98,
    "random": 0.2,
}
METRICS = (
    *("mcc_pearson", "mcc_spearman", "r2", "dci_disentanglement", "target_precision", "target_recall"),
    *("target_f1", "target_average_precision", "inll_zero_shot", "inll_same_cells", "inll_clean"),
)
BEST_PENALTY = 70
LATENTS = 15


def fake_tables(
    datasets: Mapping[str, Mapping] | Iterable[str] = ("simulated",),
    *,
    truth: bool = True,
    replicates: int = 5,
    methods: Iterable[str] = tuple(SKILL),
    metrics: Iterable[str] = METRICS,
    rule: str = "udr",
    grids: Mapping[str, Mapping] = GRIDS,
    failed: Iterable[tuple[str, int]] = (),
    not_run: Iterable[tuple[str, str]] = (),
    perturbations: int = 20,
    held_out: int = 0,
    restarts: int = 2,
    epochs: int = 40,
    spread: float = 0.05,
) -> Tables:
    """Make the tables of a run.

    Parameters
    ----------
    datasets
        Names of the datasets; where they are simulated, with the parameters that each changes.
    truth
        Whether the datasets are simulated.
    grids
        Grid by method. A method without a penalty has no restarts, and so no score for a rule.
    failed
        Methods and replicates in which every fit ran out of memory.
    not_run
        Datasets and methods that the scope leaves out.
    held_out
        Perturbations that each replicate holds out, others than the other replicates do, and whose
        likelihoods are told one by one; none by default, as in a simulation.
    spread
        Standard deviation of the values between fits.
    """
    rng = np.random.default_rng(0)
    changes = datasets if isinstance(datasets, Mapping) else {name: {} for name in datasets}
    options = {method: _settings(grids.get(method, {}), restarts) for method in methods}
    rows: dict[str, list] = {name: [] for name in ("metrics", "status", "history", "targets")}
    for dataset, replicate, method in product(changes, range(replicates), options):
        if (dataset, method) in set(not_run):
            continue
        run = {"dataset": dataset, "split": "paper", "replicate": replicate, "method": method}
        lost = (method, replicate) in set(failed)
        for setting, values in options[method].items():
            fit = {**run, "setting": setting}
            skill = SKILL.get(method, 0.5) * _fitness(values) + rng.normal(0, spread)
            rows["status"].append(fit | _status(len(options[method]), values, skill, lost, rng))
            if not lost and (method.endswith("vae") or method == "svae_plus"):
                rows["history"] += _history(fit, skill, epochs, rng)
            for metric in metrics:
                value = np.nan if lost else _value(metric, method, skill, truth, values)
                rows["metrics"].append({**fit, "metric": metric, "value": value})
            if "penalty" in values and not lost:
                rows["targets"] += _targets(fit, truth, perturbations)
    tables = {name: pd.DataFrame(content) for name, content in rows.items()}
    selected = select(tables["status"], tables["metrics"], [rule, HINDSIGHT]).astype({"setting": object})
    chosen = selected[selected["rule"] == rule].drop(columns=["rule", "outcome"])
    known = read_methods(METHODS_TABLE, options)
    described = _described_settings(options)
    by_perturbation = _held_out(tables["metrics"], held_out)
    return Tables(
        metrics=tables["metrics"],
        held_out=by_perturbation,
        status=tables["status"],
        history=tables["history"] if len(tables["history"]) else _empty("history"),
        targets=tables["targets"].merge(chosen) if len(tables["targets"]) else _empty("targets"),
        perturbations=_empty("perturbations") if truth else _perturbations(chosen, perturbations),
        latent_genes=_latent_genes(chosen, rng),
        enrichment=_enrichment(chosen),
        predictive=_predictive(chosen, rng),
        embedding=_embedding(chosen, perturbations, rng),
        pathways=_empty("pathways") if truth else _pathways(changes),
        selected=selected,
        leaderboard=leaderboard(tables["metrics"], selected, known, "svae_plus", by_perturbation),
        settings=described,
        warnings=warnings_of_run(tables["status"], selected, described, rule),
        datasets=_described_datasets(changes, truth, perturbations),
        methods=known,
        registry=metrics_table(),
        rule=rule,
        reference="svae_plus",
    )


def write_tables(tables: Tables, folder: Path) -> dict[str, Path]:
    """Write the tables as a run does; return their paths, and that of the table of methods."""
    paths = {name: folder / f"{name}.tsv" for name in COLUMNS}
    for name, path in paths.items():
        write_table(getattr(tables, name), path)
    return paths | {"methods": METHODS_TABLE}


def _empty(name: str) -> pd.DataFrame:
    return pd.DataFrame(columns=list(COLUMNS[name]))


def _settings(grid: Mapping[str, Iterable], restarts: int) -> dict[str, dict]:
    """Options by name of the setting, named as the workflow names them."""
    if not grid:
        return {"default": {"restart": 0}}
    settings = {}
    for values in product(*grid.values()):
        options = dict(zip(grid, values, strict=True))
        name = ",".join(f"{key}={value}" for key, value in options.items())
        if "penalty" not in grid:
            settings[name] = {**options, "restart": 0}
            continue
        for restart in range(restarts):
            settings[f"{name}.r{restart}"] = {**options, "restart": restart}
    return settings


def _fitness(options: Mapping) -> float:
    """How well a setting does, as a share of the best."""
    return float(np.exp(-0.2 * np.log(options.get("penalty", BEST_PENALTY) / BEST_PENALTY) ** 2))


def _status(settings: int, options: Mapping, skill: float, lost: bool, rng: np.random.Generator) -> dict:
    """How a fit ended and what it cost; restarts give it a score that the rule UDR looks at."""
    scores = {"udr": skill if "penalty" in options else np.nan}
    if lost:
        return {
            "status": "out_of_memory",
            "message": "killed: 16 GB | limit `8 GB`",
            **{"seconds": np.nan, "peak_memory_mb": np.nan, "device": "cpu", "seed": 1, "udr": np.nan},
            **{"validation_rise": np.nan, "warnings": "", "fit": "lost.h5ad"},
        }
    costs = {"seconds": rng.gamma(40, 2) * settings**1.5, "peak_memory_mb": 600 + rng.integers(300)}
    doubts = {"validation_rise": 0.0, "warnings": ""}
    run = {"device": "cpu", "seed": 1, "fit": "fit.h5ad"}
    return {"status": "ok", "message": "", **costs, **doubts, **run, **scores}


def _value(metric: str, method: str, skill: float, truth: bool, options: Mapping) -> float:
    """Value of a metric, or NaN where it is not applicable."""
    if metric == "likelihood_gain":
        return skill if method.endswith("vae") or method == "svae_plus" else np.nan
    if metric.startswith("inll"):
        if method in ("ica", "pca", "random") or (method == "oracle" and not truth):
            return np.nan
        return 336.7 if method == "oracle" else 390 - 40 * skill + len(metric)
    if metric in ("sibling_auroc", "pathway_auroc", "smi_best"):
        return float(np.clip(skill, 0, 1))
    no_targets = method in ("ica", "pca", "vae", "beta_vae", "random") and metric.startswith("target")
    if not truth or no_targets:
        return np.nan
    tilt = 0.15 * np.log10(options.get("penalty", BEST_PENALTY) / BEST_PENALTY)
    tilts = {"target_precision": tilt, "target_recall": -2 * tilt}
    return float(np.clip(skill + tilts.get(metric, 0), 0, 1))


def _history(fit: dict, skill: float, epochs: int, rng: np.random.Generator) -> list[dict]:
    epoch = np.arange(1, epochs + 1)
    curve = 380 - 15 * skill + 80 * np.exp(-epoch / 6) + rng.normal(0, 0.2, epochs)
    return [
        {**fit, "epoch": int(e), "train": v - 2, "validation": v} for e, v in zip(epoch, curve, strict=True)
    ]


def _targets(fit: dict, truth: bool, perturbations: int) -> list[dict]:
    """Targets of a fit: all but a few of its masks are right, and open ones have shifts of about 5."""
    shared = np.random.default_rng(fit["replicate"] if truth else 0)
    true = shared.random((perturbations, LATENTS)) < 0.13
    noise = np.random.default_rng([fit["replicate"], len(fit["method"])])
    probability = np.where(noise.random(true.shape) < 0.04, 1.0 - true, true) * 0.95 + 0.02
    shift = np.where(shared.random(true.shape) < 0.5, -1, 1) * shared.normal(5, 1, true.shape)
    return [
        {
            **fit,
            "perturbation": f"GENE{k}",
            "part": "trained" if k < 0.8 * perturbations else "held_out",
            "latent": j + 1,
            "probability": probability[k, j],
            "shift": shift[k, j],
            "true": float(true[k, j]) if truth else np.nan,
        }
        for k in range(perturbations)
        for j in range(LATENTS)
    ]


def _perturbations(chosen: pd.DataFrame, perturbations: int) -> pd.DataFrame:
    """What chosen fits say of each perturbation: the fifth that is held out does most."""
    place = np.arange(perturbations)
    held_out = place >= 0.8 * perturbations
    facts = pd.DataFrame(
        {
            "perturbation": [f"GENE{k}" for k in place],
            "part": np.where(held_out, "held_out", "trained"),
            **{"cells": 100 + place, "effect": 0.5 * place, "own_change": -0.1 * place},
            "responding": place / perturbations,
            "differential": 2 * place,
            **{"called": np.where(held_out, np.nan, place), "agreed": np.where(held_out, np.nan, place // 2)},
        }
    )
    fits = chosen[chosen["setting"].notna()]
    return fits.merge(facts, how="cross")[list(COLUMNS["perturbations"])]


def _latent_genes(chosen: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Twelve genes for each latent of the chosen fits of sVAE+."""
    fits = chosen[(chosen["method"] == "svae_plus") & chosen["setting"].notna()]
    latents = pd.DataFrame({"latent": range(1, LATENTS + 1)})
    genes = pd.DataFrame({"gene": [f"GENE{k}" for k in range(12)]})
    table = fits.merge(latents, how="cross").merge(genes, how="cross")
    change = rng.normal(size=len(table))
    table = table.assign(probability=np.abs(change).clip(max=1), log2_fold_change=change)
    return table[list(COLUMNS["latent_genes"])]


def _enrichment(chosen: pd.DataFrame) -> pd.DataFrame:
    """One set that is enriched in latent 1, and one that is not in latent 2."""
    fits = chosen[(chosen["method"] == "svae_plus") & chosen["setting"].notna()]
    found = pd.DataFrame(
        {
            **{"latent": [1, 2], "gene_set": ["Interferon signalling", "Translation"], "genes": [9, 20]},
            **{"score": [2.1, 0.8], "p": [0.001, 0.6], "p_adjusted": [0.002, 0.6]},
            "leading": ["GENE1;GENE2", "GENE3"],
        }
    )
    return fits.merge(found, how="cross")[list(COLUMNS["enrichment"])]


def _predictive(chosen: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Predictive checks of forty genes for the chosen fits of sVAE+ and VAE."""
    fits = chosen[chosen["method"].isin(["svae_plus", "vae"]) & chosen["setting"].notna()]
    tables = []
    for statistic, largest in (("mean", 20.0), ("variance", 90.0), ("zeros", 0.9)):
        real = largest * rng.uniform(0.05, 1, 40)
        values = {"statistic": statistic, "gene": [f"GENE{k}" for k in range(40)], "real": real}
        tables.append(pd.DataFrame({**values, "generated": real * rng.uniform(0.8, 1.1, 40)}))
    return fits.merge(pd.concat(tables), how="cross")[list(COLUMNS["predictive"])]


def _embedding(chosen: pd.DataFrame, perturbations: int, rng: np.random.Generator) -> pd.DataFrame:
    """A map of 300 cells of the first fit of sVAE+ on each dataset."""
    fits = chosen[(chosen["method"] == "svae_plus") & (chosen["replicate"] == 0) & chosen["setting"].notna()]
    names = ["control", *(f"GENE{k}" for k in range(perturbations))]
    cells = pd.DataFrame(
        {
            "cell": [f"cell{i}" for i in range(300)],
            "perturbation": rng.choice(names, 300),
            "part": "train",
            "batch": rng.choice(["lane 1", "lane 2"], 300),
            **{"x": rng.normal(size=300), "y": rng.normal(size=300)},
            "batches_nearby": rng.uniform(1, 2, 300),
        }
    )
    return fits.merge(cells, how="cross")[list(COLUMNS["embedding"])]


def _pathways(datasets: Iterable[str]) -> pd.DataFrame:
    """Two sets that share a perturbation, and one that no two perturbations are in."""
    sets = {"Interferon signalling": (0, 1, 2), "Translation": (2, 3), "Alone": (4,)}
    rows = [
        (dataset, f"GENE{k}", name) for dataset in datasets for name, genes in sets.items() for k in genes
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS["pathways"]))


def _held_out(metrics: pd.DataFrame, number: int) -> pd.DataFrame:
    """Likelihoods of so many perturbations per replicate: the stronger its effect, the less likely."""
    rows = metrics[metrics["metric"].str.startswith(("inll", "likelihood"))].dropna(subset=["value"])
    parts = [_empty("held_out")]
    for place in range(number):
        names = "p" + (rows["replicate"] * number + place).astype(str)
        effect = (place + 1.0) ** 2 / number
        parts.append(rows.assign(perturbation=names, effect=effect, value=rows["value"] + 0.1 * effect))
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)[
        [*COLUMNS["held_out"]]
    ]


def _described_settings(options: Mapping[str, Mapping[str, Mapping]]) -> pd.DataFrame:
    """As :func:`svae.workflow.describe.describe_settings` does: a row per option, the restart included."""
    rows = [
        (method, setting, parameter, str(value))
        for method, settings in options.items()
        for setting, values in settings.items()
        for parameter, value in values.items()
    ]
    return pd.DataFrame(rows, columns=["method", "setting", "parameter", "value"])


def _described_datasets(changes: Mapping[str, Mapping], truth: bool, perturbations: int) -> pd.DataFrame:
    """As :func:`svae.workflow.describe.describe_datasets` does: all parameters, defaults included."""
    rows = []
    for name, changed in changes.items():
        facts: dict[str, object] = {"kind": "simulated" if truth else "real"}
        known: dict[str, object] = {"genes": 100, "perturbations": perturbations}
        if truth:
            simulator = changed.get("simulator", "corrected")
            known = {"simulator": simulator, **parameters(simulator), "n_latent": LATENTS, **known, **changed}
        facts["cells"] = perturbations * known.get("cells_per_perturbation", 250)
        facts["citation"] = "Lopez et al., CLeaR 2023"
        rows += [(name, parameter, str(value)) for parameter, value in (facts | known).items()]
    return pd.DataFrame(rows, columns=["dataset", "parameter", "value"])
