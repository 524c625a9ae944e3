"""Config files that a config file includes: it is laid over them, as Snakemake lays a file over another."""

import re
from collections.abc import Mapping
from typing import Any

from svae.errors import BenchmarkError
from svae.workflow.config_file import read_config

INCLUDE = "include"
OF_ITS_OWN = (INCLUDE, "scope", "title")
"""Keys that a scope takes from no file that it includes."""
QUOTED = re.compile(r"'([^']*)'")
"""How messages write a name."""


def with_included(config: Mapping[str, Any], where: str = "config") -> dict[str, Any]:
    """Return a config with all that it includes, and without the key `include`.

    Mappings are merged key by key; any other value takes the place of the one that it is laid over.

    Parameters
    ----------
    config
        What a config file holds.
    where
        Name of the config file, for error messages.

    Raises
    ------
    BenchmarkError
        If `include` is no list of files, or one of them cannot be read, or includes itself.
    """
    whole: dict[str, Any] = {}
    for file in included_files(config, where).values():
        whole = laid_over(whole, {key: file[key] for key in file if key not in OF_ITS_OWN})
    return laid_over(whole, {key: config[key] for key in config if key != INCLUDE})


def laid_over(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two mappings key by key; of two other values, the upper one stays.

    >>> laid_over({"a": {"x": 1, "y": [1]}}, {"a": {"y": [2]}, "b": 3})
    {'a': {'x': 1, 'y': [2]}, 'b': 3}
    """
    both = dict(lower)
    for key, value in upper.items():
        below = both.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = laid_over(below, value)
        both[key] = value
    return both


def included_files(
    config: Mapping[str, Any], where: str = "config", above: tuple[str, ...] = ()
) -> dict[str, dict[str, Any]]:
    """Return what the files hold that a config includes, and those that these include.

    Parameters
    ----------
    config
        What a config file holds.
    where
        Name of the config file, for error messages.
    above
        Files that include this one.

    Returns
    -------
    Contents by path, once for each file. Each is laid over those before it, and the config over all of them.
    """
    place = f"{where}: {INCLUDE}"
    paths = config.get(INCLUDE, [])
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise BenchmarkError(f"{place}: should be a list of config files (found: {paths!r})")
    found: dict[str, dict[str, Any]] = {}
    for path in paths:
        if path in above:
            raise BenchmarkError(f"{place}: '{path}' would include itself")
        try:
            file = read_config(path)
        except BenchmarkError as error:
            raise BenchmarkError(f"{place}: {error}") from None
        for inner, content in {**included_files(file, path, (*above, path)), path: file}.items():
            found.setdefault(inner, content)
    return found


def files_at_fault(mistake: str, files: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return which of the files that a config is made of a mistake is in.

    Parameters
    ----------
    mistake
        A sentence that begins with the keys that lead to the mistake, such as ``datasets: mine: unknown key
        'lable'``.
    files
        What the files hold, by path; each is laid over those before it.

    Returns
    -------
    Those that hold all of these keys, or the most of them; none if no file holds the first. Where it is no
    mapping that stands there, only the last of them.
    """
    found: list[str] = []
    held: dict[str, Any] = dict(files)
    for key in [*mistake.split(": "), *QUOTED.findall(mistake)[:1]]:
        sections = {path: section for path, section in held.items() if isinstance(section, Mapping)}
        inside = {path: section[key] for path, section in sections.items() if key in section}
        if inside:
            held = inside
            *lower, last = held
            found = [*lower, last] if isinstance(held[last], Mapping) else [last]
    return found
