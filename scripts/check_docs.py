"""Check the built site for missing names, dead links and content from other hosts.

Run by `make docs` after the build. The build finds dead links between pages, but not
missing pictures or pages that are not in the navigation.
"""

from __future__ import annotations

import importlib
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

MODULES = [
    "langchain_chatexports",
    "langchain_chatexports.adapters.openai",
    "langchain_chatexports.chat_loaders.base",
    "langchain_chatexports.chat_loaders.counts",
    "langchain_chatexports.chat_loaders.facebook_messenger",
    "langchain_chatexports.chat_loaders.imessage",
    "langchain_chatexports.chat_loaders.recognition",
    "langchain_chatexports.chat_loaders.telegram",
    "langchain_chatexports.chat_loaders.table",
    "langchain_chatexports.chat_loaders.utils",
    "langchain_chatexports.chat_loaders.whatsapp",
    "langchain_chatexports.cluster",
    "langchain_chatexports.datasets",
    "langchain_chatexports.evaluation",
    "langchain_chatexports.exceptions",
    "langchain_chatexports.finetuning",
    "langchain_chatexports.local_server",
    "langchain_chatexports.personas",
    "langchain_chatexports.redaction",
    "langchain_chatexports.report",
    "langchain_chatexports.retrieval",
    "langchain_chatexports.samples",
    "langchain_chatexports.standard_tests",
    "langchain_chatexports.steps",
    "langchain_chatexports.workflows",
]
ANCHOR = re.compile(r'id="(langchain_chatexports[\w.]*)"')
# A code block or note that no extension has rendered.
RAW = re.compile(r"```|(?:!!!|[?]{3}) [a-z]+")
# Content that a page loads automatically; ordinary links are allowed.
FETCHED = re.compile(
    r'<(?:script|img|iframe|source)\b[^>]*\bsrc="(?:https?:)?//([^"/]+)'
    r'|<link\b[^>]*\brel="(?:stylesheet|preload|preconnect)"[^>]*//([^"/]+)'
    # The theme's script sends a request to the repository's host.
    r'|data-md-component="source"[^>]*//([^"/]+)'
    r'|//([^"/]+)[^>]*data-md-component="source"'
)


class Page(HTMLParser):
    """The anchors and links of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect ids and links."""
        del tag
        for name, value in attrs:
            if value and name == "id":
                self.anchors.add(value)
            elif value and name in {"href", "src"}:
                self.links.add(value)


def find_dead_links(site: Path) -> list[str]:
    """Return the links within the site whose target does not exist."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    dead = []
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            # A server shows the page 404 at any path, so its links are absolute.
            if parts.scheme or parts.netloc or path.name == "404.html":
                continue
            target = (path.parent / unquote(parts.path)) if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            known = pages.get(target.resolve())
            if not target.exists() or (
                known
                and parts.fragment
                and unquote(parts.fragment) not in known.anchors
            ):
                dead.append(f"{path.relative_to(site).as_posix()}: {link}")
    return dead


def find_unlisted_pages(site: Path) -> list[str]:
    """Return the pages that are not in the navigation of the first page."""
    start = Page(site / "index.html")
    listed = {urlsplit(link).path.strip("./") for link in start.links}
    return [
        name
        for path in sorted(site.rglob("index.html"))
        if (name := path.parent.relative_to(site).as_posix()) != "."
        and name not in listed
    ]


def public_names(module_name: str) -> list[str]:
    """Return a module's public names: `__all__`, or its own classes and functions."""
    module = importlib.import_module(module_name)
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module_name
        and not name.startswith("_")
    ]


def find_missing_names(pages: list[str]) -> list[str]:
    """Return the public names, except constants, that no page documents."""
    anchors = {
        found.rpartition(".")[2] for page in pages for found in ANCHOR.findall(page)
    }
    return [
        f"{module}.{name}"
        for module in MODULES
        for name in public_names(module)
        if name not in anchors and not (name.isupper() or name.startswith("__"))
    ]


def main(site: Path) -> int:
    """Check a site; return 0 if there are no problems."""
    site = site.resolve()
    paths = sorted(site.rglob("*.html"))
    pages = [path.read_text(encoding="utf-8") for path in paths]
    if not pages:
        print(f"{site} has no pages: run the build first.")
        return 1
    missing = find_missing_names(pages)
    hosts = {"".join(found) for page in pages for found in FETCHED.findall(page)}
    raw = [path for path, page in zip(paths, pages, strict=True) if RAW.search(page)]
    for path in raw:
        print(f"Markdown was not rendered: {path.relative_to(site).as_posix()}")
    for name in missing:
        print(f"Not in the API reference: {name}")
    for host in sorted(hosts):
        print(f"The pages load content from {host}")
    dead = find_dead_links(site)
    for link in dead:
        print(f"Dead link: {link}")
    unlisted = find_unlisted_pages(site)
    for name in unlisted:
        print(f"Not in the navigation: {name}")
    return 1 if raw or missing or hosts or dead or unlisted else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "site")))
