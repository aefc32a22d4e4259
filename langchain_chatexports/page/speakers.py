"""Whom a talk imitates, and the language model for it."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import chain

from langchain_chatexports.datasets.replies import extract_replies
from langchain_chatexports.local_server import Base, NoBaseError
from langchain_chatexports.page.errors import PageError
from langchain_chatexports.page.languages import lazy_gettext
from langchain_chatexports.page.people import Person
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.personas.talk import ChatSettings, Recall, Talk
from langchain_chatexports.workflows.bases import choose_chat_base
from langchain_chatexports.workflows.memory import open_memory
from langchain_chatexports.workflows.talk import (
    Speaker,
    create_talks,
    load_person,
    load_tuned_speaker,
)

_MAX_OPENINGS = 3
_OPENING_LENGTHS = range(8, 71)


@dataclass(frozen=True)
class Offer:
    base: Base
    local: Base | None = None
    """Another one that fits the language, and is on this computer."""


@dataclass(frozen=True)
class Loaded:
    speaker: Speaker | None = None
    memory: Recall | None = None
    openings: tuple[str, ...] = ()
    offer: Offer | None = None


class SpeakerLoader:
    """Loads a person's model or examples, again when they have changed."""

    def __init__(self, session: PageSession) -> None:
        self.loaded = Loaded()
        self.base: str | None = None
        """The base for people without a model, once it is decided."""

        self._session = session
        self._source: object = None
        self._memory = session.resources.enter_context(ExitStack())
        self._loading = asyncio.Lock()

    async def load(self, person: Person) -> Loaded:
        """Load a person, if something has changed."""
        source: object = None
        if person.model is not None:
            source = person.model.name
        elif person.messages:
            source = self.base, self._session.exports.paths()
        async with self._loading:  # Otherwise the second would undo the first.
            if source != self._source:
                self.loaded = Loaded()
                self.loaded = await asyncio.to_thread(self._load, person)
                self._source = source
        return self.loaded

    @property
    def waking_seconds(self) -> float | None:
        """How long the model took to start the last time."""
        speaker = self.loaded.speaker
        return self._session.waking_seconds.get(speaker.base) if speaker else None

    async def wake(self) -> list[Talk]:
        """Return the base and the speaker on a running server."""
        speaker = self.loaded.speaker
        if speaker is None:
            raise PageError(
                lazy_gettext("The export of this chat was removed: add it again.")
            )
        started = time.monotonic()
        server = await asyncio.to_thread(self._session.use_server, speaker.base)
        if (seconds := time.monotonic() - started) > 1:
            self._session.waking_seconds[speaker.base] = seconds
        settings = ChatSettings(memory=self.loaded.memory)
        return await asyncio.to_thread(
            create_talks, server, speaker, settings, with_base=True
        )

    def _load(self, person: Person) -> Loaded:
        self._memory.close()
        index_dir, offer = self._session.index_dir, None
        if (model := person.model) is not None:
            workspace = self._session.workspace
            speaker = load_tuned_speaker(workspace, model, index_dir=index_dir)
            speaker = replace(speaker, title=person.name)
        elif person.messages:
            exports = self._session.exports
            options = exports.prepare_options(person.name)
            speaker = load_person(exports.paths(), options, index_dir=index_dir)
            base, offer = self._choose_base(speaker)
            speaker = replace(speaker, base=base)
        else:
            return Loaded()
        memory = open_memory(
            speaker.exports,
            person=speaker.person,
            language=speaker.language,
            only_if_quick=True,
        )
        recall = self._memory.enter_context(memory)
        return Loaded(speaker, recall, _find_openings(speaker), offer)

    def _choose_base(self, speaker: Speaker) -> tuple[str | None, Offer | None]:
        """Return a base that is here, or an offer of one that fits the language."""
        base = self.base or self._session.base
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
            ).base
        return None, Offer(choice.base, local)


def _find_openings(speaker: Speaker) -> tuple[str, ...]:
    """Return messages that others really wrote to the person."""
    label = speaker.voice.label if speaker.voice is not None else None
    prefix = f"{label}: " if label else ""
    replies = chain.from_iterable(map(extract_replies, speaker.examples))
    lines = dict.fromkeys(reply.message.removeprefix(prefix) for reply in replies)
    short = [x for x in lines if "\n" not in x and len(x) in _OPENING_LENGTHS]
    # Questions are easier to send than statements.
    return tuple(sorted(short, key=lambda line: "?" not in line)[:_MAX_OPENINGS])
