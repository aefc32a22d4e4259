"""Look at the built site: it has every public name, and fetches nothing from outside.

Run by `make docs` after the build.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

ROOMS = [
    "langchain_chatexports",
    "langchain_chatexports.adapters.openai",
    "langchain_chatexports.chat_loaders.accounting",
    "langchain_chatexports.chat_loaders.base",
    "langchain_chatexports.chat_loaders.facebook_messenger",
    "langchain_chatexports.chat_loaders.imessage",
    "langchain_chatexports.chat_loaders.table",
    "langchain_chatexports.chat_loaders.utils",
    "langchain_chatexports.exceptions",
    "langchain_chatexports.finetuning",
    "langchain_chatexports.local_server",
    "langchain_chatexports.redaction",
    "langchain_chatexports.report",
    "langchain_chatexports.samples",
    "langchain_chatexports.standard_tests",
    "langchain_chatexports.steps",
]
ANCHOR = re.compile(r'id="(langchain_chatexports[\w.]*)"')
# What a page loads by itself; links that somebody clicks are fine.
FETCHED = re.compile(
    r'<(?:script|img|iframe|source)\b[^>]*\bsrc="(?:https?:)?//([^"/]+)'
    r'|<link\b[^>]*\brel="(?:stylesheet|preload|preconnect)"[^>]*//([^"/]+)'
)


def missing_names(pages: list[str]) -> list[str]:
    """Give the public classes and functions that no page documents."""
    anchors = {
        found.rpartition(".")[2] for page in pages for found in ANCHOR.findall(page)
    }
    return [
        f"{room}.{name}"
        for room in ROOMS
        for name in importlib.import_module(room).__all__
        if callable(getattr(importlib.import_module(room), name))
        and name not in anchors
    ]


def main(site: Path) -> int:
    """Check a site; 0 if all is well."""
    pages = [path.read_text(encoding="utf-8") for path in sorted(site.rglob("*.html"))]
    if not pages:
        print(f"{site} holds no pages: run the build first.")
        return 1
    missing = missing_names(pages)
    hosts = {"".join(found) for page in pages for found in FETCHED.findall(page)}
    torn = [page for page in pages if "```" in page]
    if torn:
        print(f"{len(torn)} pages show the marks of a code block.")
    for name in missing:
        print(f"Not in the API reference: {name}")
    for host in sorted(hosts):
        print(f"The pages load something from {host}")
    return 1 if torn or missing or hosts else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "site")))
