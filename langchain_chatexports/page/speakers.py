"""Whom a talk imitates, and the language model for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from langchain_chatexports.local_server import (
    BaseChoice,
    LocalServer,
    Model,
    NoBaseError,
    Workspace,
)
from langchain_chatexports.page.people import Person
from langchain_chatexports.page.snapshot import Poller, Published, Snapshot
from langchain_chatexports.page.talk_store import TalkStore
from langchain_chatexports.page.work import Work
from langchain_chatexports.personas.reply_limits import split_bubbles
from langchain_chatexports.personas.talk import ChatSettings
from langchain_chatexports.workflows.bases import choose_chat_base
from langchain_chatexports.workflows.memory import open_memory
from langchain_chatexports.workflows.preparation import PrepareOptions
from langchain_chatexports.workflows.talk import (
    Speaker,
    load_person,
    load_tuned_speaker,
)

_MAX_OPENINGS = 3
_OPENING_LENGTHS = range(8, 71)


@dataclass(frozen=True)
class Offer:
    """A language model to download before the first talk."""

    choice: BaseChoice
    local: BaseChoice | None = None
    """Another one that fits the language, and is on this computer."""


class Surroundings(Protocol):
    """What a talk needs of the page; `PageSession` has it."""

    base: str | None
    workspace: Workspace
    index_dir: Path | None
    published: Published[Snapshot]
    poller: Poller
    talks: TalkStore
    downloading: Work
    answering: asyncio.Lock
    waking_seconds: dict[str, float]
    seconds_per_token: float

    def use_server(self, base: str | None) -> LocalServer:
        """Return the server that answers with a base."""

    def person_options(self, name: str) -> tuple[list[Path], PrepareOptions]:
        """Return the exports, and the options for a person's replies."""


class Loaded(NamedTuple):
    """What loading a person has found."""

    openings: tuple[str, ...]
    offer: Offer | None


class SpeakerLoader:
    """Loads a person's model or examples, again when they have changed."""

    def __init__(self, session: Surroundings) -> None:
        """Initialize; nothing is loaded."""
        self.speaker: Speaker | None = None
        self.settings = ChatSettings()
        self._session = session
        self._source: object = None
        self._memory = ExitStack()
        self._loading = asyncio.Lock()
        self._base: str | None = None
        """The base without training, once it is decided."""

    @property
    def base_id(self) -> str | None:
        """The base of the speaker; `None` is the default."""
        return self.speaker.base if self.speaker else None

    def decide_base(self, base: str) -> None:
        """Use a base for people without a model."""
        self._base, self._source = base, None

    def is_current(self, person: Person, model: Model | None) -> bool:
        """Return whether what is loaded is the newest."""
        return self._source == self._find_source(person, model)

    async def load(self, person: Person, model: Model | None) -> Loaded | None:
        """Load a person; `None` if nothing has changed."""
        source = self._find_source(person, model)
        async with self._loading:  # Otherwise the second would undo the first.
            if source == self._source:
                return None
            self.speaker, self.settings = None, ChatSettings()
            loaded = await asyncio.to_thread(self._load, person, model)
            self._source = source
        return loaded

    def close(self) -> None:
        """Close the memory."""
        self._memory.close()

    def _load(self, person: Person, model: Model | None) -> Loaded:
        self._memory.close()
        offer = None
        if model is not None:
            speaker = load_tuned_speaker(
                self._session.workspace, model, index_dir=self._session.index_dir
            )
            speaker = replace(speaker, title=person.name)
        elif person.messages:
            paths, options = self._session.person_options(person.name)
            speaker = load_person(paths, options, index_dir=self._session.index_dir)
            base, offer = self._choose_base(speaker)
            speaker = replace(speaker, base=base)
        else:
            return Loaded((), None)
        memory = open_memory(
            speaker.exports,
            person=speaker.person,
            language=speaker.language,
            only_if_quick=True,
        )
        self.speaker = speaker
        self.settings = ChatSettings(memory=self._memory.enter_context(memory))
        return Loaded(tuple(_find_openings(speaker)), offer)

    def _choose_base(self, speaker: Speaker) -> tuple[str | None, Offer | None]:
        """Return a base that is here, or an offer of one that fits the language."""
        base = self._base or self._session.base
        if base is not None:
            return base, None
        pace = self._session.seconds_per_token
        choice = choose_chat_base(speaker.language, seconds_per_token=pace)
        if choice.base.is_default:
            return None, None
        if not choice.base.needs_download():
            return choice.base.id, None
        local = None
        with suppress(NoBaseError):
            local = choose_chat_base(
                speaker.language, seconds_per_token=pace, downloads=False
            )
        return None, Offer(choice, local)

    def _find_source(self, person: Person, model: Model | None) -> object:
        """Return what the loaded person depends on."""
        if model is not None:
            return model.name
        exports = self._session.published.value.exports
        read = tuple(export.id for export in exports if export.state == "read")
        return read if person.messages else None


def _find_openings(speaker: Speaker) -> Iterator[str]:
    """Yield messages that others really wrote to the person."""
    found: dict[str, None] = {}
    label = speaker.voice.label if speaker.voice is not None else None
    prefix = f"{label}: " if label else ""
    for example in speaker.examples:
        users = (m for m in example["messages"] if m["role"] == "user")
        first = next((str(m.get("content") or "") for m in users), "")
        lines = split_bubbles(first.removeprefix(prefix))
        if len(lines) == 1 and len(lines[0]) in _OPENING_LENGTHS:
            found.setdefault(lines[0])
    # Questions are easier to send than statements.
    yield from sorted(found, key=lambda line: "?" not in line)[:_MAX_OPENINGS]
