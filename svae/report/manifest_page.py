"""The manifest of a run as an HTML page: where its results come from, and what they cost."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from svae.report.numbers import DASH, count
from svae.report.templates import render

COST = {"cpu_hours": "processor hours", "gpu_hours": "GPU hours", "hours": "hours of fitting"}


def manifest_html(manifest: Mapping[str, Any]) -> str:
    """Write the manifest (:func:`svae.workflow.manifest.manifest`) as a page that needs no other file."""
    return render(
        "manifest.html",
        sections=[
            _section("The run", _table(_run(manifest))),
            _section(
                "Machines",
                _records(manifest["machines"]),
                note="Where fits were made, as far as that was written down. Costs are of the fits alone.",
            ),
            _section("Arithmetic of GPUs", _table(manifest["arithmetic"])),
            _section("Datasets", _records(manifest["datasets"])),
            _section("Seeds", _table(_written(manifest["seeds"])), note="Those of fits: status.tsv."),
            _section("Scope, with all defaults", _table(_written(manifest["scope"])), folded=True),
            _section("Packages", _table(manifest["packages"]), folded=True),
        ],
    )


def _section(title: str, *tables: dict, note: str = "", folded: bool = False) -> dict[str, Any]:
    return {"title": title, "tables": tables, "note": note, "folded": folded}


def _table(facts: Mapping[str, Any]) -> dict[str, Any]:
    """One row per fact."""
    return {"heads": [], "rows": [(name, _shown(value)) for name, value in facts.items()]}


def _records(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One row per record, and a column for whatever any of them tells."""
    heads = list(dict.fromkeys(name for record in records for name in record))
    rows = [[_shown(record.get(name, "")) for name in heads] for record in records]
    return {"heads": [head.replace("_", " ") for head in heads], "rows": rows}


def _run(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that a reader looks for first."""
    code = manifest["code"]
    return {
        "svae": code["version"],
        "commit": _commit(code["commit"], code["changed"]),
        "Python": manifest["python"],
        "fits": ", ".join(f"{n} {status.replace('_', ' ')}" for status, n in manifest["fits"].items()),
        "first fit begun": manifest["started"],
        "last fit ended": manifest["ended"],
        **{name: f"{manifest['cost'][key]:.3g}" for key, name in COST.items()},
    }


def _commit(commit: str | None, changed: Sequence[str] | None) -> str:
    """Name the state of the code."""
    if commit is None:
        return "not known, since this is no git checkout"
    if not changed:
        return f"{commit}, with nothing changed"
    return f"{commit}, with {count(len(changed), 'file')} changed: {', '.join(changed)}"


def _written(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}


def _shown(value: object) -> object:
    return DASH if value is None or value == "" else value
