"""A talk with a person: its messages, its rhythm and what is kept of it.

All tabs show the same. It lives on the event loop; what blocks is in threads.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, aclosing, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, Literal, Protocol, TypeAlias

from langchain_chatexports._serving import log_error_location
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server import (
    LocalServer,
    Model,
    Workspace,
    find_base,
)
from langchain_chatexports.page.errors import (
    Failure,
    PageError,
    translate_error,
    translate_reply_error,
)
from langchain_chatexports.page.languages import lazy_gettext
from langchain_chatexports.page.people import Person, person_key
from langchain_chatexports.page.snapshot import Poller, Published, Snapshot
from langchain_chatexports.page.talk_store import TalkStore, TalkSummary
from langchain_chatexports.page.work import IDLE, Work, WorkState
from langchain_chatexports.personas.reply_limits import split_bubbles
from langchain_chatexports.personas.talk import ChatSettings, Turn
from langchain_chatexports.personas.talk import Talk as ModelTalk
from langchain_chatexports.workflows.bases import (
    BaseChoice,
    NoBaseError,
    choose_chat_base,
    download_base,
)
from langchain_chatexports.workflows.memory import open_memory
from langchain_chatexports.workflows.preparation import PrepareOptions
from langchain_chatexports.workflows.saved_talks import (
    TalkFolder,
    model_talks,
    new_talk_id,
)
from langchain_chatexports.workflows.talk import (
    Speaker,
    create_talks,
    load_person,
    load_tuned_speaker,
)

Version: TypeAlias = Literal["after", "before"]
"""Whose replies are shown: the person's model, or the base without training."""

_DOTS_SECONDS = 0.4
_SLOW_SECONDS, _VERY_SLOW_SECONDS = 8.0, 60.0
# The next message appears as if it had to be typed.
_SECONDS_PER_LETTER, _MAX_PAUSE_SECONDS = 0.03, 2.5
_MAX_USUAL_TURNS, _MAX_USUAL_SECONDS = 20, 900.0
_MAX_OPENINGS = 3
_OPENING_LENGTHS = range(8, 71)
_BLANK_LINES = re.compile(r"\n\s*\n")
_NO_ANSWER = lazy_gettext("The model had no answer.")
_DOWNLOADING = lazy_gettext("Downloading the language model")


@dataclass(frozen=True)
class Message:
    """A bubble, or a note in place of one."""

    key: str
    turn: int
    text: str
    author: Literal["me", "model", "note"]
    time: float | None = None
    is_read: bool = False
    cited: tuple[str, ...] = ()
    """The remembered lines, in the last bubble of a reply."""


@dataclass(frozen=True)
class Offer:
    """A language model to download before the first talk."""

    choice: BaseChoice
    local: BaseChoice | None = None
    """Another one that fits the language, and is on this computer."""


@dataclass(frozen=True)
class TalkState:
    """What a talk shows."""

    talk_id: str = ""
    messages: tuple[Message, ...] = ()
    phase: Literal["", "waking", "typing"] = ""
    shows_dots: bool = False
    slowness: Literal[0, 1, 2] = 0
    """1 after some seconds, 2 after a minute."""

    usual_seconds: float | None = None
    """How long an answer usually takes, as measured."""

    waking_seconds: float | None = None
    """How long the model took to start the last time."""

    failure: Failure | None = None
    is_stopped: bool = False
    """Whether the last message has no answer because that was stopped."""

    keep_failure: Failure | None = None
    """Why the talk could not be kept."""

    offer: Offer | None = None
    download: WorkState = IDLE
    version: Version = "after"
    is_kept: bool = True
    openings: tuple[str, ...] = ()

    @property
    def is_busy(self) -> bool:
        """Whether the model works on an answer."""
        return bool(self.phase)


class Surroundings(Protocol):
    """What a talk needs of the page; `PageSession` has it."""

    base: str | None
    workspace: Workspace
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


class Conversation:
    """The talks with a person, one of which is open."""

    def __init__(self, session: Surroundings, person: Person) -> None:
        self.published = Published(TalkState())
        self.person = person
        self.draft = ""
        self._session = session
        self._model: Model | None = None
        """The model that the open talk is kept with."""

        self._turns: list[Turn] = []
        self._numbers = count(1)
        self._ids: list[int] = []
        self._is_opened = False
        self._reply: asyncio.Task[None] | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._saving: asyncio.Task[None] | None = None
        self._is_dirty = False
        self._speaker: Speaker | None = None
        self._speaker_source: object = None
        self._memory = ExitStack()
        self._settings = ChatSettings()
        self._base: str | None = None
        """The base without training, once it is decided."""

        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def state(self) -> TalkState:
        return self.published.value

    # What the reader does

    async def open(self) -> None:
        """Open the newest talk, the first time."""
        if not self._is_opened:
            self._is_opened = True
            talk = self.person.talk
            await self.open_talk(talk.id if talk else new_talk_id())
            self._start(self._look())

    async def open_talk(self, talk_id: str) -> None:
        """Open a kept talk, or a new one."""
        self._cancel()
        known = {talk.id: talk for talk in self.kept_talks()}
        summary = known.get(talk_id)
        self._model = self._find_model(summary.model) if summary else self.person.model
        saved = None
        if summary is not None:
            saved = await asyncio.to_thread(self._folder().get, talk_id)
        self._turns = saved.turns if saved else []
        self._ids = [next(self._numbers) for _ in self._turns]
        self.draft = saved.draft if saved else ""
        self._show(
            talk_id=talk_id,
            version="after",
            failure=None,
            is_kept=True,
            is_stopped=bool(self._turns and not _replies(self._turns[-1])),
        )

    def kept_talks(self) -> list[TalkSummary]:
        """Return the summaries of the person's talks, newest first."""
        talks = self._session.published.value.talks
        return [talk for talk in talks if person_key(talk.person) == self.person.key]

    def send(self, text: str) -> None:
        """Add a message; what is not yet shown of a reply is dropped."""
        text = _BLANK_LINES.sub("\n", text.strip())
        if not text:
            return
        now = time.time()
        self._cancel()
        self._adopt_model()
        if self._turns and not _replies(self._turns[-1]):
            turn = self._turns[-1]
            turn.line += f"\n\n{text}"
            turn.sent.append(now)
        else:
            self._turns.append(Turn(text, sent=[now]))
            self._ids.append(next(self._numbers))
        self.draft = ""
        self._save()
        self.answer()

    def answer(self) -> None:
        """Answer the last message; also what *Try again* does."""
        self._cancel()
        if self._turns:
            self._begin()
            self._reply = self._start(self._answer(self.state.version))

    def stop(self) -> None:
        """Stop the reply; what is shown of it stays."""
        self._cancel()
        is_unanswered = bool(self._turns) and not self._shown_reply(self._turns[-1])
        self._show(is_stopped=is_unanswered, failure=None)

    def edit(self, turn_id: int, text: str) -> None:
        """Replace a message, and drop all that follows."""
        self.delete_from(turn_id)
        self.send(text)

    def delete_from(self, turn_id: int) -> None:
        """Delete a message, and all that follows."""
        self._cancel()
        if turn_id in self._ids:
            index = self._ids.index(turn_id)
            del self._turns[index:], self._ids[index:]
        self._show(failure=None, is_stopped=False)
        self._save()

    def answer_again(self) -> None:
        """Replace the last reply by another one."""
        if self._turns:
            turn = self._turns[-1]
            if self.state.version == "before":
                turn.base_answer = ""
            else:
                turn.answer, turn.received = "", []
            self.answer()

    def set_version(self, version: Version) -> None:
        """Show the replies with or without training; the last one is asked for."""
        self._cancel()
        self._show(version=version, failure=None, is_stopped=False)
        if self._turns and not self._shown_reply(self._turns[-1]):
            self.answer()

    def set_draft(self, text: str) -> None:
        """Keep what was written, and not sent."""
        if text != self.draft:
            self.draft = text
            self._save()

    def set_kept(self, is_kept: bool) -> None:
        """Keep this talk, or not."""
        self._show(is_kept=is_kept)
        self._save()

    async def start_new(self) -> None:
        """Begin a new talk; the others are kept."""
        await self.open_talk(new_talk_id())

    async def delete(self) -> None:
        """Delete this talk."""
        self._cancel()
        self._turns, self._ids, self.draft = [], [], ""
        await self._write()
        await self.start_new()

    def export(self) -> str:
        """Return the messages as text, one per line, with times and authors."""
        return "\n".join(self._export_lines())

    def _export_lines(self) -> Iterator[str]:
        me = str(lazy_gettext("You"))
        for message in self.state.messages:
            if message.author != "note":
                author = me if message.author == "me" else self.person.name
                when = time.strftime("%Y-%m-%d %H:%M", time.localtime(message.time))
                prefix = f"{when} " if message.time else ""
                yield f"{prefix}{author}: {message.text}"

    # The language model

    def download(self) -> None:
        """Download the offered language model, and answer."""
        if self.state.offer is not None and not self._session.downloading.is_running:
            self._start(self._download(self.state.offer.choice))

    def cancel_download(self) -> None:
        """Stop the download; the next one resumes it."""
        self._session.downloading.stop()

    def use_local(self) -> None:
        """Talk with the language model that is on this computer."""
        offer = self.state.offer
        if offer is not None and offer.local is not None:
            self._decide_base(offer.local)

    async def _download(self, choice: BaseChoice) -> None:
        work = self._session.downloading
        base = find_base(choice.base.id)
        work.start(
            _DOWNLOADING, lambda: download_base(base, work.watch, check=work.check)
        )
        while work.is_running:
            self._show(download=work.freeze())
            await asyncio.sleep(0.3)
        self._show(download=work.freeze())
        if work.error is None and not find_base(choice.base.id).needs_download():
            self._decide_base(choice)

    def _decide_base(self, choice: BaseChoice) -> None:
        # `None` is the default.
        self._base = None if choice.base.is_default else choice.base.id
        self._speaker_source = None
        self._show(offer=None, download=IDLE)
        if self._turns and not _replies(self._turns[-1]):
            self.answer()
        else:
            self._start(self._look())

    # What happens elsewhere

    def update_person(self, person: Person | None) -> None:
        """Follow a change of the models and exports."""
        if person is None:
            person = replace(self.person, model=None, messages=0, training=None)
        self.person = person
        if self._model is not None and self._find_model(self._model.name) is None:
            # It was deleted, with its talks.
            self._cancel()
            self._model = None
            self._turns, self._ids, self.draft = [], [], ""
            self._show(talk_id=new_talk_id(), openings=(), failure=None)
        if self._is_opened and self._source() != self._speaker_source:
            self._start(self._look())

    def close(self) -> None:
        """Stop the model and close the memory, at the end of the program."""
        self._memory.close()

    # Answers

    async def _answer(self, version: Version) -> None:
        turn = self._turns[-1]
        failure: Failure | None = None
        try:
            async with self._session.answering:
                voices = await self._wake()
                if voices is None:
                    return  # A language model is offered.
                voice = voices[0] if version == "before" else voices[-1]
                voice.turns = [*self._history(version), Turn(turn.line)]
                await self._read_reply(voice, turn, version)
            if not _reply_of(turn, version):
                failure = Failure(_NO_ANSWER)
        except (ChatExportError, OSError) as error:
            failure = translate_reply_error(error)
        except Exception as error:  # noqa: BLE001 - its text can quote the talk.
            log_error_location(error)
            failure = translate_reply_error(error)
        finally:
            if self._reply is asyncio.current_task():  # Otherwise the next one runs.
                self._end(failure)

    async def _read_reply(self, voice: ModelTalk, turn: Turn, version: Version) -> None:
        """Show each message of a reply when it is complete."""
        text, shown, shown_at = "", 0, time.monotonic()
        async with aclosing(voice.aanswer()) as pieces:
            async for piece in pieces:
                if not text:
                    self._show(phase="typing")
                    shown_at = time.monotonic()
                text += piece
                complete = split_bubbles(text.rpartition("\n")[0])
                for bubble in complete[shown:]:
                    await self._add_bubble(turn, version, bubble, shown_at)
                    shown, shown_at = shown + 1, time.monotonic()
        bubbles = split_bubbles(text) if voice.has_bubbles else [text.strip()]
        for bubble in filter(None, bubbles[shown:]):
            await self._add_bubble(turn, version, bubble, shown_at)
            shown_at = time.monotonic()
        if version == "after":
            turn.is_cut, turn.cited = voice.turns[-1].is_cut, voice.turns[-1].cited
        self._show()
        self._save()

    async def _add_bubble(
        self, turn: Turn, version: Version, bubble: str, since: float
    ) -> None:
        if _reply_of(turn, version):
            # A model that is slower than the person waits for nothing.
            pause = min(_MAX_PAUSE_SECONDS, _SECONDS_PER_LETTER * len(bubble))
            await asyncio.sleep(since + pause - time.monotonic())
        if version == "before":
            turn.base_answer = "\n\n".join(filter(None, (turn.base_answer, bubble)))
        else:
            turn.answer = "\n\n".join(filter(None, (turn.answer, bubble)))
            turn.received.append(time.time())
        self._show()
        self._save()

    async def _wake(self) -> list[ModelTalk] | None:
        """Return the voices; `None` if a language model is needed first."""
        if not await self._load():
            return None
        speaker, settings = self._speaker, self._settings
        if speaker is None:
            raise PageError(
                lazy_gettext("The export of this chat was removed: add it again.")
            )
        started = time.monotonic()
        server = await asyncio.to_thread(self._session.use_server, speaker.base)
        if (seconds := time.monotonic() - started) > 1:
            self._session.waking_seconds[str(speaker.base)] = seconds
        return await asyncio.to_thread(
            create_talks, server, speaker, settings, with_base=True
        )

    async def _look(self) -> None:
        """Read the person in the background: openings, and what is missing."""
        try:
            await self._load()
            # The client takes seconds to import: before the first message, not after.
            await asyncio.to_thread(import_module, "langchain_openai")
        except (ChatExportError, OSError) as error:
            self._show(failure=translate_error(error))
        except Exception as error:  # noqa: BLE001 - its text can quote chats.
            log_error_location(error)

    async def _load(self) -> bool:
        """Load the person; return whether a language model is there."""
        source = self._source()
        if source != self._speaker_source:
            self._speaker, self._settings = None, ChatSettings()
            speaker, memory, offer = await asyncio.to_thread(self._load_speaker)
            self._speaker_source = source
            self._speaker = speaker
            self._settings = ChatSettings(memory=memory)
            waking = self._session.waking_seconds.get(str(speaker and speaker.base))
            openings = tuple(_find_openings(speaker)) if speaker else ()
            self._show(openings=openings, offer=offer, waking_seconds=waking)
        return self.state.offer is None

    def _load_speaker(self) -> tuple[Speaker | None, Any, Offer | None]:
        self._memory.close()
        model, offer = self._model or self.person.model, None
        if model is not None:
            speaker = load_tuned_speaker(self._session.workspace, model)
            speaker = replace(speaker, title=self.person.name)
        elif self.person.messages:
            paths, options = self._session.person_options(self.person.name)
            speaker = load_person(paths, options)
            base, offer = self._choose_base(speaker)
            speaker = replace(speaker, base=base)
        else:
            return None, None, None
        memory = open_memory(
            speaker.exports,
            person=speaker.person,
            language=speaker.language,
            only_if_quick=True,
        )
        return speaker, self._memory.enter_context(memory), offer

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

    def _source(self) -> object:
        """Return what the loaded person depends on."""
        model = self._model or self.person.model
        if model is not None:
            return model.name
        exports = self._session.published.value.exports
        read = tuple(export.id for export in exports if export.state == "read")
        return read if self.person.messages else None

    def _history(self, version: Version) -> list[Turn]:
        turns = []
        for turn in self._turns[:-1]:
            other: Version = "before" if version == "after" else "after"
            answer = _reply_of(turn, version) or _reply_of(turn, other)
            turns.append(Turn(turn.line, answer))
        return turns

    # State

    def _begin(self) -> None:
        usual = self._usual_seconds()
        self._show(
            phase="waking",
            usual_seconds=usual,
            slowness=0,
            failure=None,
            is_stopped=False,
        )
        loop = asyncio.get_running_loop()

        def later(seconds: float, **changes: Any) -> None:
            show = lambda: self._show(**changes)  # noqa: E731 - shorter than a def
            self._timers.append(loop.call_later(seconds, show))

        later(_DOTS_SECONDS, shows_dots=True)
        later(_SLOW_SECONDS, slowness=1)
        later(_VERY_SLOW_SECONDS, slowness=2)

    def _end(self, failure: Failure | None) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._reply = None
        self._show(phase="", shows_dots=False, slowness=0, failure=failure)

    def _cancel(self) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.cancel()
        self._end(None)

    def _show(self, **changes: Any) -> None:
        state = replace(self.state, **changes)
        self.published.publish(replace(state, messages=tuple(self._messages(state))))

    def _messages(self, state: TalkState) -> Iterator[Message]:
        version = state.version
        last = self._ids[-1] if self._ids else 0
        is_reading = state.phase == "typing"
        for number, turn in zip(self._ids, self._turns, strict=True):
            reply = _reply_of(turn, version)
            is_read = bool(_replies(turn)) or (number == last and is_reading)
            for index, line in enumerate(turn.line.split("\n\n")):
                sent = turn.sent[index] if index < len(turn.sent) else None
                key = f"{number}-me-{index}"
                yield Message(key, number, line, "me", sent, is_read)
            bubbles = split_bubbles(reply)
            for index, bubble in enumerate(bubbles):
                received = turn.received if version == "after" else []
                when = received[index] if index < len(received) else None
                cited = turn.cited if index == len(bubbles) - 1 else []
                if version == "before":
                    cited = []
                key = f"{number}-{version}-{index}"
                yield Message(key, number, bubble, "model", when, cited=tuple(cited))
            if not bubbles and number != last and _replies(turn):
                yield Message(f"{number}-{version}-none", number, "", "note")

    def _shown_reply(self, turn: Turn) -> str:
        return _reply_of(turn, self.state.version)

    def _usual_seconds(self) -> float | None:
        seconds = [
            turn.received[0] - turn.sent[-1]
            for turn in self._turns[-_MAX_USUAL_TURNS:]
            if turn.sent and turn.received
        ]
        usual = [each for each in seconds if 0 < each < _MAX_USUAL_SECONDS]
        return median(usual) if usual else None

    def _start(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # What is kept

    def _find_model(self, name: str) -> Model | None:
        models = self._session.published.value.stored.models
        return next((model for model in models if model.name == name), None)

    def _folder(self) -> TalkFolder:
        if self._model is not None:
            return model_talks(self._model)
        return self._session.talks.people

    def _adopt_model(self) -> None:
        """Keep a talk that began without a model with the one that is there now."""
        if self._model is None and self.person.model is not None:
            self._session.talks.people.delete(self.state.talk_id)
            self._model = self.person.model

    def _save(self) -> None:
        self._is_dirty = True
        if self._saving is None or self._saving.done():
            self._saving = self._start(self._write())

    async def _write(self) -> None:
        self._is_dirty = True
        while self._is_dirty:
            self._is_dirty = False
            turns = [replace(turn) for turn in self._turns]
            draft = self.draft
            if not self.state.is_kept:
                turns, draft = [], ""
            failure = await asyncio.to_thread(
                self._write_now, self._folder(), self.state.talk_id, turns, draft
            )
            self._show(keep_failure=failure)
        self._session.poller.poke()

    def _write_now(
        self, folder: TalkFolder, talk_id: str, turns: list[Turn], draft: str
    ) -> Failure | None:
        try:
            folder.save(talk_id, turns, person=self.person.name, draft=draft)
        except FileNotFoundError:  # The model was deleted.
            return None
        except OSError as error:
            return translate_error(error)
        return None


def _reply_of(turn: Turn, version: Version) -> str:
    return turn.base_answer if version == "before" else turn.answer


def _replies(turn: Turn) -> str:
    return turn.answer or turn.base_answer


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
