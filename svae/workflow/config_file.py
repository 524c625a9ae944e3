"""Reading a config file; what YAML alone would pass over, or say in its own words, gets its sentence."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from svae.errors import BenchmarkError, first_line

NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
OTHER_BASES = re.compile(r"[-+]?(0[0-9_]+|[0-9_]+(:[0-9_.]+)+)")


def read_config(path: str | Path) -> dict[str, Any]:
    """Read a config file, which is YAML or JSON.

    Raises
    ------
    BenchmarkError
        If there is no such file, it is neither, it is no mapping, a key stands twice in a mapping (YAML
        would take the last one), or a number is written so that YAML 1.1 reads another one: ``010`` as 8,
        and ``1:30`` as 90.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BenchmarkError(f"{path}: no such file{_others(Path(path))}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path}: not a readable text file ({first_line(error)})") from None
    try:
        config = _parse(text)
    except _PitfallError as error:
        raise BenchmarkError(f"{path}: {error}") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise BenchmarkError(f"{path}: not valid YAML ({_what_and_where(error)})") from None
    if not isinstance(config, dict):
        raise BenchmarkError(f"{path}: not a mapping of keys to values")
    return config


class _PitfallError(Exception):
    """A passage that YAML reads, but not as it was meant."""


def _parse(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_repeated_keys)
    except ValueError:
        _refuse_pitfalls(yaml.compose(text, Loader=yaml.SafeLoader), set())
        return yaml.safe_load(text)


def _without_repeated_keys(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Make a mapping of the pairs of a JSON object."""
    keys = [key for key, _ in pairs]
    for place, key in enumerate(keys):
        if key in keys[:place]:
            raise _PitfallError(f"the key '{key}' stands twice")
    return dict(pairs)


def _refuse_pitfalls(node: yaml.Node | None, visited: set[int]) -> None:
    """Look through a YAML document as it is written; a key that a merge (`<<`) brings may recur."""
    if node is None or id(node) in visited:
        return
    visited.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        _refuse_other_number(node)
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_pitfalls(item, visited)
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    line = key.start_mark.line + 1
                    raise _PitfallError(f"line {line}: the key '{key.value}' stands twice")
                keys.add(key.value)
            _refuse_pitfalls(value, visited)


def _refuse_other_number(node: yaml.ScalarNode) -> None:
    """Raise if YAML 1.1 takes a number for an octal one (``010``) or for one of base 60 (``1:30``)."""
    if node.tag in NUMBERS and OTHER_BASES.fullmatch(node.value):
        number = yaml.safe_load(node.value)
        line = node.start_mark.line + 1
        raise _PitfallError(
            f"line {line}: YAML reads {node.value} as {number}; write that number, or put a text in quotes"
        )


def _others(path: Path) -> str:
    """Name the config files beside one that is not there."""
    others = sorted(other.name for other in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
    return f" (there: {', '.join(others[:12])})" if others else ""


def _what_and_where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or first_line(error)
    return f"line {mark.line + 1}: {problem}" if mark is not None else problem
