"""Drawings of the code in Mermaid, which GitHub and most editors show: its rooms, and the rules of a run."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping

import grimp
from tabulate import tabulate

from docs.generate.pages import ROOT

Graph = Mapping[str, set[str]]
"""The names that each name points at."""

SCOPE = "config/paper.yaml"  # it simulates, downloads and prepares: every rule has a job there
ALIKE = {"fit_": "fit_METHOD", "draw_": "draw_FIGURE"}
"""Rules that differ only in a method or a figure are drawn once: prefix of their names, and name drawn."""


def rooms() -> str:
    """Draw which room of the library imports which."""
    return mermaid(without_shortcuts(imports_of_rooms()))


def imports_of_rooms() -> dict[str, set[str]]:
    """Return, for each room, the rooms that any of its modules imports."""
    graph = grimp.build_graph("svae", cache_dir=None)
    children = graph.find_children("svae")
    return {
        room.removeprefix("svae."): {
            other.removeprefix("svae.")
            for other in children - {room}
            if graph.direct_import_exists(importer=room, imported=other, as_packages=True)
        }
        for room in sorted(children)
    }


def what_each_room_is() -> str:
    """Tabulate the first sentence of each room's docstring."""
    rows = []
    for room in sorted(imports_of_rooms()):
        path = ROOT / "svae" / room / "__init__.py"
        link = f"../svae/{room}"
        if not path.is_file():
            path, link = ROOT / "svae" / f"{room}.py", f"../svae/{room}.py"
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        sentence = " ".join(docstring.split("\n\n")[0].split())
        rows.append((f"[`{room}`]({link})", sentence.replace("``", "`")))
    return tabulate(rows, headers=("room", "what it holds"), tablefmt="pipe")


def rules() -> str:
    """Draw which rule of the workflow reads what which other rule wrote."""
    return mermaid(without_shortcuts(reads_of_rules()))


def reads_of_rules() -> dict[str, set[str]]:
    """Return, for each rule, the rules that read what it writes, as Snakemake sees them."""
    command = [sys.executable, "-m", "snakemake", "--configfile", SCOPE, "--rulegraph", "mermaid-js"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    name_of = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]$", run.stdout, re.MULTILINE))
    reads: dict[str, set[str]] = {drawn_as(name): set() for name in name_of.values()}
    for written, read in re.findall(r"^\s*(id\d+) --> (id\d+)$", run.stdout, re.MULTILINE):
        reads[drawn_as(name_of[written])].add(drawn_as(name_of[read]))
    return reads


def drawn_as(rule: str) -> str:
    """Return the name under which a rule is drawn."""
    for prefix, name in ALIKE.items():
        if rule.startswith(prefix):
            return name
    return rule


def without_shortcuts(graph: Graph) -> dict[str, set[str]]:
    """Leave out every arrow that a longer way replaces (the transitive reduction; `graph` has no cycle)."""
    return {
        start: {end for end in ends if not any(end in reachable(graph, [via]) for via in ends - {end})}
        for start, ends in graph.items()
    }


def reachable(graph: Graph, starts: Iterable[str]) -> set[str]:
    """Return all names that can be reached from `starts`, these included."""
    seen: set[str] = set()
    waiting = list(starts)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += graph[name]
    return seen


def mermaid(graph: Graph) -> str:
    """Write a graph as a Mermaid flow chart, from top to bottom and in alphabetical order."""
    arrows = [f"    {name} --> {end}" for name in sorted(graph) for end in sorted(graph[name])]
    return "\n".join(["```mermaid", "flowchart TB", *arrows, "```"])
