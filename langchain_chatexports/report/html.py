"""Self-contained HTML pages that open offline and print, in light and dark mode.

A page is a template that extends `base.html`; `parts.html` has its tiles, tables and
charts. Everything except the charts of `svg` is escaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_chatexports._version import __version__
from langchain_chatexports.exceptions import MissingExtraError
from langchain_chatexports.report.numbers import number

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = "langchain_chatexports.report"


def render_page(template: str, *, package: str = _HERE, **values: Any) -> str:
    """Render a page."""
    page = _environment(package).get_template(template)
    return page.render(version=__version__, **values)


def require_extra() -> None:
    """Raise an error if the extra for pages is missing."""
    try:
        import jinja2  # noqa: F401 - only whether it is there
    except ImportError as error:
        feature = "Writing an HTML page"
        raise MissingExtraError(feature, "cli") from error


def _environment(package: str) -> Environment:
    require_extra()
    import jinja2

    packages = dict.fromkeys((package, _HERE))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["thousands"] = number
    return environment
