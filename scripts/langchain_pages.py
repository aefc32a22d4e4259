"""Write the pages on chat loaders for LangChain's documentation.

`python scripts/langchain_pages.py` makes docs/langchain/*.mdx of our own pages on the
loaders, in the form of LangChain's integration pages: front matter, tables of details
and features, set-up, instantiation, loading, API reference. They are for the folder
src/oss/python/integrations/chat_loaders of https://github.com/langchain-ai/docs, where
they replace the pages of the same name. The two guides
there (`fine_tune_on_your_chats`, `ask_your_chats`) are written by hand.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).resolve().parents[1] / "docs"
FOLDER = DOCS / "langchain"
SITE = "https://langchain-chatexports.github.io/langchain-chatexports"
PACKAGE = "langchain-chatexports"
BADGE = "https://img.shields.io/pypi/{}/" + PACKAGE + "?style=flat-square&label=%20"
GUIDES = "/oss/integrations/chat_loaders"
# The title of a block that needs an export of the reader's.
OWN_EXPORT = "With your own export"

_FENCE = re.compile(r"^```(.*)$", re.MULTILINE)
_LINK = re.compile(r"\]\((\w+)\.md(#[\w-]+)?\)")
_TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)


class LoaderPage(NamedTuple):
    """One of our pages, and what it is called at LangChain."""

    source: str
    target: str
    name: str
    classes: tuple[str, ...]
    export_section: str = "Get your export"

    def text(self) -> str:
        """Return the page for LangChain."""
        markdown = (DOCS / f"{self.source}.md").read_text(encoding="utf-8")
        introduction, sections = _split(markdown)
        return _HEAD.format(
            name=self.name,
            introduction=_mdx(introduction),
            ours=f"{SITE}/{self.source}/",
            details=self._details(),
            features=self._features(),
            read=_mdx(_TABLE.findall(sections["Overview"])[1]),
            export=_mdx(sections[self.export_section]),
            instantiation=_mdx(sections["Instantiation"]),
            load=_mdx(_without_questions(sections["Load"])),
            site=SITE,
            guides=GUIDES,
            package=PACKAGE,
        )

    def _details(self) -> str:
        downloads, version = BADGE.format("dm"), BADGE.format("v")
        return "\n".join(
            f"| [`{name}`]({SITE}/api/chat_loaders/) "
            f"| [`{PACKAGE}`](https://pypi.org/project/{PACKAGE}/) | ✅ | ❌ | ❌ "
            f"| ![PyPI - Downloads]({downloads}) | ![PyPI - Version]({version}) |"
            for name in self.classes
        )

    def _features(self) -> str:
        return "\n".join(f"| `{name}` | ✅ | ✅ | ✅ |" for name in self.classes)


PAGES = (
    LoaderPage(
        "facebook_messenger",
        "facebook",
        "Facebook Messenger",
        (
            "FolderFacebookMessengerChatLoader",
            "SingleFileFacebookMessengerChatLoader",
        ),
    ),
    LoaderPage(
        "imessage",
        "imessage",
        "iMessage",
        ("IMessageChatLoader",),
        export_section="Get your database",
    ),
)

_HEAD = """\
---
title: "{name} chat loader integration"
description: "Integrate with the {name} chat loader using LangChain Python."
---

{introduction}

This guide provides a quick overview for getting started with the {name} chat loader.
For what is left out and why, and for everything else, head to its
[documentation]({ours}).

## Overview

### Integration details

| Class | Package | Local | Serializable | JS support | Downloads | Version |
| :--- | :--- | :---: | :---: | :---: | :---: | :---: |
{details}

### Loader features

| Source | Lazy loading | Async support | Counts what it leaves out |
| :--- | :---: | :---: | :---: |
{features}

{read}

## Setup

You need the `{package}` package and an export of your own. The examples of this page
work without one.

### Credentials

No credentials are needed: the export is read on your machine, and nothing is sent
anywhere. If you trace your chains with [LangSmith](/langsmith/home), the texts of your
chats are part of the traces: leave `LANGSMITH_TRACING` off, or redact them first.

### Get your export

{export}

### Installation

<CodeGroup>
```bash pip
pip install -qU {package}
```

```bash uv
uv add {package}
```
</CodeGroup>

---

## Instantiation

{instantiation}

---

## Load

{load}

## Lazy load

`lazy_load` reads one conversation at a time, and so does the asynchronous `alazy_load`:

```python
for session in loader.lazy_load():
    messages = session["messages"]
```

---

## Prepare for fine-tuning

Merge what one person wrote in a row, and make the owner's messages those of the AI. A
loader with steps is still a chat loader:

```python
from langchain_chatexports import MapAIMessages, MergeChatRuns, to_training_examples

sessions = loader | MergeChatRuns() | MapAIMessages()
examples = list(to_training_examples(sessions))
```

From here, [fine-tune on your chats]({guides}/fine_tune_on_your_chats) or
[ask your chats]({guides}/ask_your_chats).

---

## API reference

For detailed documentation of all features and configurations, head to the
[API reference]({site}/api/chat_loaders/).
"""


def main() -> None:
    """Write the pages."""
    for page in PAGES:
        path = FOLDER / f"{page.target}.mdx"
        path.write_text(page.text(), encoding="utf-8")
        print(path.relative_to(DOCS.parent))


def _split(markdown: str) -> tuple[str, dict[str, str]]:
    """Return the text below the title, and the sections by their headings."""
    first, *rest = re.split(r"^## ", markdown, flags=re.MULTILINE)
    sections = dict(part.split("\n", 1) for part in rest)
    _title, introduction = first.split("\n", 1)
    return introduction, sections


def _without_questions(text: str) -> str:
    """Cut a section before its first paragraph with a bold beginning."""
    return re.split(r"^\*\*", text, maxsplit=1, flags=re.MULTILINE)[0]


def _mdx(text: str) -> str:
    text = _LINK.sub(lambda found: f"]({SITE}/{found[1]}/{found[2] or ''})", text)
    return _FENCE.sub(_fence, text).strip()


def _fence(found: re.Match[str]) -> str:
    info = found[1]
    if info == "output":
        return "```text"
    if info == "python no-run":
        return f"```python {OWN_EXPORT}"
    return f"```{info.split(' ')[0]}"


if __name__ == "__main__":
    main()
