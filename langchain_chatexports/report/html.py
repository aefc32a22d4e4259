"""Self-contained HTML pages for offline use and print, in light and dark mode.

A page is a template that extends `base.html`, with tiles, tables and charts from
`parts.html`. Everything except the charts of `svg` is escaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_chatexports._version import __version__
from langchain_chatexports.exceptions import MissingExtraError
from langchain_chatexports.report.numbers import number

if TYPE_CHECKING:
    from jinja2 import Environment

_PACKAGE = "langchain_chatexports.report"


def render_page(template: str, *, package: str = _PACKAGE, **values: Any) -> str:
    """Render a template of a package as a page."""
    page = _environment(package).get_template(template)
    return page.render(version=__version__, **values)


def check_extra() -> None:
    """Check that the extra for pages is installed."""
    try:
        import jinja2  # noqa: F401 - only to check whether it is installed
    except ImportError as error:
        feature = "Writing an HTML page"
        raise MissingExtraError(feature, "cli") from error


def _environment(package: str) -> Environment:
    check_extra()
    import jinja2

    packages = dict.fromkeys((package, _PACKAGE))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["thousands"] = number
    return environment
