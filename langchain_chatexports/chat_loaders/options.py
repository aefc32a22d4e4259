"""The options that every chat loader takes, as a type for `**options`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

from typing_extensions import TypedDict

from langchain_chatexports.chat_loaders.people import PeopleSource

__all__ = ["LoaderOptions"]


class LoaderOptions(TypedDict, total=False):
    """The options that every loader has; `ChatExportLoader` explains them."""

    owner: str | None
    include: str | Collection[str]
    exclude: str | Collection[str]
    start: datetime | date | None
    end: datetime | date | None
    include_reactions: bool
    include_system: bool
    include_unsent: bool
    include_media: bool
    people: PeopleSource | None
