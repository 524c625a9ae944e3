"""Tables of a run that never was, for the tests of what is made from them."""

import itertools
from collections.abc import Iterable

import numpy as np
import pandas as pd

from svae.evaluation.leaderboard import leaderboard
from svae.evaluation.metrics import metrics_table
from svae.evaluation.selection import HINDSIGHT
from svae.report.figures.plots import METHODS_TABLE, Tables
from svae.report.methods_table import read_methods

PENALTIES = {"svae_plus": (10, 30, 70, 200, 1000), "svae": (1, 10, 100)}
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


def fake_tables(
    datasets: Iterable[str] = ("simulated",),
    truth: bool = True,
    replicates: int = 5,
    methods: Iterable[str] = tuple(SKILL),
    metrics: Iterable[str] = METRICS,
    rules: Iterable[str] = ("udr", HINDSIGHT),
    failed: Iterable[tuple[str, int]] = (),
    perturbations: int = 20,
    restarts: int = 2,
    epochs: int = 40,
) -> Tables:
    """Tables of the given shape; every fit of each (method, replicate) in `failed` ran out of memory."""
    rng = np.random.default_rng(0)
    failed, rules = set(failed), list(rules)
    settings = {method: _settings(method, restarts) for method in methods}
    rows: dict[str, list] = {name: [] for name in ("metrics", "selected", "status", "history", "targets")}
    for (place, dataset), replicate, method in itertools.product(
        enumerate(datasets), range(replicates), settings
    ):
        run = {"dataset": dataset, "split": "paper", "replicate": replicate, "method": method}
        lost = (method, replicate) in failed
        by_fitness = sorted(settings[method], key=_fitness, reverse=True)
        for rule in rules:
            setting = (
                by_fitness[0] if rule == HINDSIGHT else by_fitness[rng.integers(len(by_fitness) // 2 + 1)]
            )
            choice = {"setting": setting, "outcome": "chosen"}
            if lost:
                choice = {"setting": setting, "outcome": "chosen"}
            if lost:
                choice = {"setting": np.nan, "outcome": "failed"}
            rows["selected"].append({**run, "rule": rule, **choice})
        for setting in settings[method]:
            status = {"status": "out_of_memory", "message": "killed: 16 GB | limit `8 GB`"} if lost else {}
            cost = {
                "seconds": rng.gamma(40, 2) * len(settings[method]) ** 1.5,
                "peak_memory_mb": 600 + 50 * len(method) + 3 * replicate,
            }
            fit = {"status": "ok", "message": "", **cost, "device": "cpu", "seed": 1}
            rows["status"].append({**run, "setting": setting, **fit, **status})
            skill = SKILL.get(method, 0.5) * _fitness(setting) - 0.05 * place + rng.normal(0, 0.05)
            rows["metrics"] += [
                {**run, "setting": setting, "metric": metric, "value": np.nan if lost else value}
                for metric in metrics
                for value in [_value(metric, method, skill, truth, setting)]
            ]
            if method.endswith("vae") or method == "svae_plus":
                rows["history"] += _history(run | {"setting": setting}, skill, epochs, rng)
        if method in PENALTIES and not lost:
            rows["targets"] += _targets(run | {"setting": by_fitness[0]}, truth, perturbations, replicate)
    tables = {name: pd.DataFrame(content) for name, content in rows.items()}
    known = read_methods(METHODS_TABLE, methods)
    return Tables(
        **tables,
        leaderboard=leaderboard(tables["metrics"], tables["selected"], known, "svae_plus"),
        settings=pd.DataFrame(
            [
                {
                    "method": method,
                    "setting": setting,
                    "parameter": "penalty",
                    "value": setting[8:].split(".")[0],
                }
                for method in settings
                for setting in settings[method]
                if setting != "default"
            ],
            columns=["method", "setting", "parameter", "value"],
        ),
        datasets=_datasets(datasets, truth, perturbations),
        methods=known,
        registry=metrics_table(),
        rule=rules[0],
        reference="svae_plus",
    )


def _settings(method: str, restarts: int) -> list[str]:
    if method not in PENALTIES:
        return ["default"]
    return [f"penalty={penalty}.r{r}" for penalty in PENALTIES[method] for r in range(restarts)]


def _fitness(setting: str) -> float:
    if setting == "default":
        return 1.0
    return float(np.exp(-0.2 * np.log(float(setting[8:].split(".")[0]) / 70) ** 2))


def _value(metric: str, method: str, skill: float, truth: bool, setting: str) -> float:
    if metric.startswith("inll"):
        modelled = method not in ("ica", "pca", "random") and (truth or method != "oracle")
        return (
            390 - 40 * skill + len(metric)
            if modelled and method != "oracle"
            else 336.7
            if modelled
            else np.nan
        )
    no_targets = method in ("ica", "pca", "vae", "beta_vae", "random") and metric.startswith("target")
    if not truth or no_targets:
        return np.nan
    if setting != "default" and metric in ("target_precision", "target_recall"):
        tilt = 0.15 * np.log10(float(setting[8:].split(".")[0]) / 70)
        skill += tilt if metric == "target_precision" else -2 * tilt
    return float(np.clip(skill, 0, 1))


def _history(run: dict, skill: float, epochs: int, rng: np.random.Generator) -> list[dict]:
    epoch = np.arange(1, epochs + 1)
    curve = 380 - 15 * skill + 80 * np.exp(-epoch / 6) + rng.normal(0, 0.2, epochs)
    return [
        {**run, "epoch": int(e), "train": v - 2, "validation": v} for e, v in zip(epoch, curve, strict=True)
    ]


def _targets(run: dict, truth: bool, perturbations: int, replicate: int) -> list[dict]:
    shared = np.random.default_rng(replicate)
    true = shared.random((perturbations, 15)) < 0.13
    noise = np.random.default_rng([replicate, len(run["method"])])
    probability = np.where(noise.random(true.shape) < 0.04, 1.0 - true, true) * 0.95 + 0.02
    sign = np.where(shared.random(true.shape) < 0.5, -1, 1)
    return [
        {
            **run,
            "perturbation": f"GENE{k}",
            "part": "trained" if k < 0.8 * perturbations else "held_out",
            "latent": j + 1,
            "probability": probability[k, j],
            "shift": 5.0 * sign[k, j],
            "true": float(true[k, j]) if truth else np.nan,
        }
        for k in range(perturbations)
        for j in range(15)
    ]


def _datasets(datasets: Iterable[str], truth: bool, perturbations: int) -> pd.DataFrame:
    facts = [
        {
            "kind": "simulated" if truth else "real",
            "cells_per_perturbation": 250 * 2**place,
            "cells": 250 * 2**place * perturbations,
            "genes": 100,
            "perturbations": perturbations,
        }
        for place, _ in enumerate(datasets)
    ]
    wide = pd.DataFrame(facts, index=pd.Index(list(datasets), name="dataset")).astype(str)
    return wide.reset_index().melt("dataset", var_name="parameter")
