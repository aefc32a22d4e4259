"""The options of chat loaders, as types: those of all, and those of some formats."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime
from pathlib import Path

from typing_extensions import TypedDict

from langchain_chatexports.chat_loaders.date_order import DateOrder
from langchain_chatexports.chat_loaders.people import PeopleSource

__all__ = ["ExportOptions", "LoaderOptions"]


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


class ExportOptions(LoaderOptions, total=False):
    """The same and those of some formats, which go to the loaders that have them."""

    contacts: str | Path | None
    timezone: str | None
    date_order: DateOrder | None
    columns: Mapping[str, str] | None
