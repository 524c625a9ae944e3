"""Whatever befalls the jobs of a run and its files: no wrong table, no lost fit, and a status for every fit.

A schedule is drawn from a seed: three runs in which jobs meet faults, with damage to finished fits between
them. There are ten on every second method of one replicate of the demo, whose replicates are alike;
`make draws` runs a hundred, on all methods.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from checkout import ROOT
from schedules import DAMAGES, FAULTS, Graph, Strike

from svae.contracts.run import STATUSES
from svae.workflow.config_file import read_config
from svae.workflow.fitting import fingerprint_in
from svae.workflow.retry import main as retry
from svae.workflow.scope import Scope

THOROUGH = bool(os.environ.get("SVAE_ALL_DRAWS"))
SEEDS = range(100 if THOROUGH else 10)
RUNS = 3
DEMO = read_config(ROOT / "config" / "demo.yaml")
METHODS = dict(list(DEMO["methods"].items())[:: 1 if THOROUGH else 2])
CONFIG = DEMO | {"replicates": 1, "methods": METHODS}
SCOPE = Scope.check(CONFIG)
KEYS = ["dataset", "split", "replicate", "method", "setting"]
PLANNED = {(*job, setting.name) for job in SCOPE.jobs for setting in SCOPE.settings(job.method)}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Tables of a run in which nothing fails."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("undisturbed"))
        graph = Graph(SCOPE)
        graph.run({})
        return graph.evaluate()


def drawn_strikes(random, last):
    """Let two jobs in five meet a fault; in the last run, none is lost with its guard."""
    faults = [fault for fault in FAULTS if not (last and fault == "be_killed_with_the_guard")]
    return {
        job: Strike(str(random.choice(faults)), int(random.integers(2)), bool(random.random() < 0.2))
        for job in SCOPE.jobs
        if random.random() < 0.4
    }


def damage_some(graph, random):
    """Damage a tenth of the fits that are there; return the content of those that still have one."""
    damaged = {}
    there = [path for job in SCOPE.jobs for path in graph.outputs(job) if path.exists()]
    for path in there:
        other = there[int(random.integers(len(there)))]
        if random.random() < 0.1 and other.exists():
            DAMAGES[int(random.integers(len(DAMAGES)))](path, other)
            if path.exists():
                damaged[path] = path.read_bytes()
    return damaged


def finished(graph, damaged):
    """Content of the fits that ended well, of jobs that are done, but for those that were `damaged` since."""
    paths = [path for job in graph.done for path in graph.outputs(job)]
    contents = {path: path.read_bytes() for path in paths if fingerprint_in(path)}
    return {path: content for path, content in contents.items() if damaged.get(path) != content}


def ended_well(tables):
    """Files of the fits that ended well."""
    status = tables["status"]
    return {Path(fit) for fit in status.loc[status["status"] == "ok", "fit"]}


@pytest.mark.parametrize("seed", SEEDS)
def test_no_schedule_of_faults_loses_or_spoils_anything(seed, undisturbed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(seed)
    graph, damaged = Graph(SCOPE), {}
    for run in range(RUNS):
        before = finished(graph, damaged)
        damaged |= damage_some(graph, random)
        sound = {path for path, content in before.items() if path.exists() and path.read_bytes() == content}
        graph.run(drawn_strikes(random, last=run == RUNS - 1))
        lost = {path for path in sound if path.read_bytes() != before[path]}
        assert not lost, "a finished fit was made again"
    damage_some(graph, random)
    graph.run({})
    tables = graph.evaluate()
    check(tables, undisturbed)

    # What did not end well is made again, and nothing else.
    kept = {path: path.read_bytes() for path in ended_well(tables)}
    Path("demo.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    retry(["demo.yaml"])
    graph.run({})
    for path, content in kept.items():
        assert path.read_bytes() == content
    for name, table in graph.evaluate().items():
        pd.testing.assert_frame_equal(table, undisturbed[name], check_exact=True)


def check(tables, undisturbed):
    """Every planned fit has a status, and what has a value has the right one."""
    status = tables["status"].set_index(KEYS)
    assert set(status.index) == PLANNED
    assert len(status) == len(PLANNED)
    assert set(status["status"]) <= set(STATUSES)
    assert (status["message"].fillna("") != "").equals(status["status"] != "ok")
    value = tables["metrics"].set_index(KEYS)["value"]
    right = undisturbed["metrics"].set_index(KEYS)["value"]
    pd.testing.assert_series_equal(value, right.where(status["status"] == "ok"), check_exact=True)
    counted = tables["completeness"].groupby("status")["fits"].sum()
    assert counted.to_dict() == status["status"].value_counts().to_dict()
