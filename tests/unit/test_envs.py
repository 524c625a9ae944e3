"""The conda environments are what the lock says."""

import pytest
import yaml
from checkout import ROOT

from envs import generate


@pytest.mark.parametrize("name", generate.ROOTS)
def test_an_environment_is_generated_from_the_lock(name):
    text = (ROOT / "envs" / f"{name}.yaml").read_text(encoding="utf-8")
    assert text == generate.environment(name), "run `make envs`"
    pins = yaml.safe_load(text)["dependencies"][-1]["pip"]
    assert {f"{root}=={generate.read_lock()[root]}" for root in generate.ROOTS[name]} <= set(pins)


def test_every_environment_that_a_rule_names_exists():
    rules = [*(ROOT / "rules").rglob("*.smk")]
    named = {
        line.split("envs/")[1].strip('"\n ') for path in rules for line in path.open() if "envs/" in line
    }
    assert named == {f"{name}.yaml" for name in generate.ROOTS}


def test_the_lock_names_no_host_and_no_local_build():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert all(line.count("==") == 1 for line in lock.splitlines())
    assert not any(sign in lock for sign in ("+cpu", "://", "--", "@"))
