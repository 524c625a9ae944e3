"""The conda environments and the container are what the lock says.

No container is built here. Its scripts run with a look-alike of its environment in another folder.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from checkout import ROOT, Checkout
from packaging.specifiers import SpecifierSet

import svae
from envs import generate

PREFIX = "/opt/svae"
"""Where the container has its environment."""


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


def section(name: str) -> str:
    """What the committed recipe of the container says under a heading."""
    recipe = (ROOT / "envs" / "container.def").read_text(encoding="utf-8")
    found = re.search(rf"^%{name}\n(.*?)(?=^%|\Z)", recipe, re.MULTILINE | re.DOTALL)
    assert found, name
    return found[1]


@pytest.fixture
def look_alike(tmp_path) -> Path:
    """A folder like the one of the container: the packages that the tests run with, and the lock."""
    folder = tmp_path / "container"
    folder.mkdir()
    for entry in Path(sys.prefix).iterdir():
        (folder / entry.name).symlink_to(entry)
    shutil.copy(ROOT / "requirements.lock", folder / "requirements.lock")
    return folder


@pytest.fixture
def checkout_to_mount(checkout) -> Checkout:
    shutil.copy(ROOT / "Makefile", checkout.path)
    return checkout


def run_in(folder: Path, checkout: Checkout, script: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run a script of the recipe in a checkout, with `folder` in place of the container's."""
    text = (section("environment") + script).replace(PREFIX, str(folder))
    variables = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "PYTHONPATH": "/of/the/host"}
    shell = ["sh", "-e", "-c", text, "sh", *arguments]
    return subprocess.run(
        shell, cwd=checkout.path, env=variables, capture_output=True, text=True, check=False
    )


def test_the_recipe_of_the_container_is_generated():
    text = (ROOT / "envs" / "container.def").read_text(encoding="utf-8")
    assert text == generate.container(), "run `make envs`"
    assert f"org.opencontainers.image.version {svae.__version__}\n" in section("labels")


def test_the_base_image_has_the_python_that_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    recipe = (ROOT / "envs" / "container.def").read_text(encoding="utf-8")
    told = re.search(r"^Bootstrap: docker\nFrom: python:(\d+\.\d+)-\w+$", recipe, re.MULTILINE)
    assert told[1] in SpecifierSet(project["requires-python"])
    assert told[1] == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_the_container_installs_the_lock_and_nothing_else():
    copied = [line.split() for line in section("files").splitlines() if line.strip()]
    assert copied == [["requirements.lock", f"{PREFIX}/requirements.lock"]]
    tracked = ["git", "-C", str(ROOT), "ls-files", "--error-unmatch", "requirements.lock"]
    if (ROOT / ".git").exists():
        assert subprocess.run(tracked, capture_output=True, check=False).returncode == 0
    installed = re.findall(r"pip install (.*)", section("post"))
    assert installed == [f"--no-cache-dir --requirement {PREFIX}/requirements.lock"]


@pytest.mark.parametrize("name", ["post", "test", "environment", "runscript"])
def test_the_scripts_of_the_recipe_can_be_read_by_a_shell(name):
    subprocess.run(["sh", "-n", "-c", section(name)], check=True)


def test_the_packages_of_the_lock_fit_together(look_alike, checkout):
    done = run_in(look_alike, checkout, section("test"))
    assert (done.returncode, done.stdout) == (0, "No broken requirements found.\n"), done.stdout


def test_make_runs_with_the_packages_of_the_container_and_the_library_of_the_checkout(
    look_alike, checkout_to_mount
):
    (checkout_to_mount.path / "config" / "wrong.yaml").write_text("scope: wrong\nreplicate: 1\n")
    (checkout_to_mount.path / "svae" / "__init__.py").open("a").write("print('of the checkout')\n")
    done = run_in(look_alike, checkout_to_mount, section("runscript"), "check", "SCOPE=wrong")
    assert done.stdout.startswith("of the checkout\n")
    assert "error: config/wrong.yaml: " in done.stderr
    assert not (checkout_to_mount.path / ".venv").exists()


def test_a_container_of_another_lock_is_told(look_alike, checkout_to_mount):
    with open(look_alike / "requirements.lock", "a", encoding="utf-8") as lock:
        lock.write("another==1.0\n")
    done = run_in(look_alike, checkout_to_mount, section("runscript"), "setup")
    assert done.returncode != 0
    assert done.stdout == (
        "error: the container was built from another requirements.lock than this one; build it again\n"
    )
