"""Templates of the report's pages (jinja2)."""

import re

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(name: str, **values: object) -> str:
    """Fill the template of the page called `name` with `values`.

    In HTML every value is escaped. In reStructuredText, the filter ``plain`` makes a value appear as it
    stands.
    """
    return _ENVIRONMENT.get_template(f"{name}.jinja").render(**values)


def plain(text: object) -> str:
    r"""Put a text on one line that reStructuredText shows as it stands.

    Braces are escaped as well, because Snakemake fills the first page in as a template once more.

    >>> plain("a_b {{c}}")
    'a\\_b \\{\\{c}}'
    """
    return re.sub(r"([\\*`|_:{%#])", r"\\\1", " ".join(str(text).split()))


def _is_html(name: str | None) -> bool:
    return name is not None and ".html" in name


_ENVIRONMENT = Environment(
    loader=PackageLoader("svae.report"),
    autoescape=_is_html,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_ENVIRONMENT.filters["plain"] = plain
