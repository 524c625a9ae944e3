"""Whatever is wrong with a scope: there is a plan, or one sentence that names the file and the key."""

import json
import shutil
from contextlib import chdir

import pytest
import yaml
from checkout import ROOT, Checkout
from draws import draws
from hypothesis import given
from spoilt import PROGRAM, Defect, defects, scopes, write_files

from svae.errors import BenchmarkError, written_out
from svae.models import FAMILY
from svae.training.plan import TrainingPlan
from svae.training.presets import plan_with
from svae.workflow.check import checked_scope
from svae.workflow.scope import Scope

FILE = "config/mine.yaml"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """What a scope can name, with one method more: a rule and a program."""
    root = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "rules", root / "rules")
    (root / "config").mkdir()
    shutil.copy(ROOT / "config" / "datasets.tsv", root / "config")
    (root / "rules" / "methods" / f"{PROGRAM}.smk").touch()
    write_files(root)
    return root


def what_is_wrong(config, root) -> str | None:
    """Return the sentence that a user sees, or None if there is a plan."""
    try:
        with chdir(root):
            scope = checked_scope(config, root, FILE)
    except BenchmarkError as error:
        return str(error)
    plan(scope)
    return None


def plan(scope: Scope) -> None:
    """Plan the jobs of a scope as the rules do; nothing that they are handed is out of range."""
    assert scope.jobs
    for job in scope.jobs:
        settings = scope.settings_of(job, scope.training if job.method in FAMILY else None)
        assert len({setting.name for setting in settings}) == len(settings) > 0
        assert json.dumps([dict(setting.options) for setting in settings], allow_nan=False)
        for setting in settings:
            assert set(setting.name) <= set(
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+=-"
            )
            if job.method in FAMILY:
                fields = TrainingPlan.__dataclass_fields__
                of_plan = {name: value for name, value in setting.options.items() if name in fields}
                plan_with(TrainingPlan(), **of_plan)


@draws(quick=50, full=200)
@given(scopes())
def test_scopes_without_a_defect_have_a_plan(repository, config):
    assert what_is_wrong(config, repository) is None


@draws(quick=200, full=2000)
@given(defects())
def test_a_spoilt_scope_has_a_plan_or_a_sentence(repository, defect):
    said = what_is_wrong(defect.config, repository)
    if defect.kind in ("name", "extra") and not defect.is_free:
        assert said is not None, f"{defect.place} was ignored"
    if said is not None:
        assert is_a_sentence_about(said, defect), f"{defect.place}: {said}"


def is_a_sentence_about(said: str, defect: Defect) -> bool:
    """Whether a message is one short sentence that names the file and a key on the way to the defect."""
    begins = said.startswith(f"{FILE}: ")
    names_key = any(written_out(key)[:50] in said for key in defect.place)
    return begins and "\n" not in said and len(said) < 700 and names_key


@pytest.mark.workflow
@draws(quick=2, full=20)
@given(defects())
def test_snakemake_plans_a_spoilt_scope_or_says_the_sentence(fresh, defect):
    path = fresh.path / "config" / "mine.yaml"
    path.write_text(yaml.safe_dump(defect.config, sort_keys=False), encoding="utf-8")
    code, said = fresh.try_snakemake("mine", "--dry-run", "--quiet", "rules")
    assert "Traceback" not in said, said
    wrong = what_is_wrong(yaml.safe_load(path.read_text(encoding="utf-8")), fresh.path)
    assert (code == 0) == (wrong is None), said
    assert wrong is None or wrong in said


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A copy with the method that is a rule and a program."""
    checkout = Checkout.create(tmp_path_factory.mktemp("fresh") / "repository")
    rule = (checkout.path / "rules" / "methods" / "pca.smk").read_text().replace("pca", PROGRAM)
    (checkout.path / "rules" / "methods" / f"{PROGRAM}.smk").write_text(rule)
    write_files(checkout.path)
    return checkout
