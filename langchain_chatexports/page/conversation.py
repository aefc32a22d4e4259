"""A talk with a person: its messages, its rhythm and what is kept of it.

All tabs show the same. It lives on the event loop; what blocks is in threads.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import aclosing
from dataclasses import replace
from importlib import import_module
from itertools import count
from typing import Any

from langchain_chatexports._serving import log_error_location
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server import BaseChoice, Model, find_base
from langchain_chatexports.page.errors import (
    Failure,
    PageError,
    translate_error,
    translate_reply_error,
)
from langchain_chatexports.page.languages import lazy_gettext
from langchain_chatexports.page.messages import (
    TalkState,
    Version,
    export_lines,
    replies,
    reply_of,
    to_messages,
    usual_seconds,
)
from langchain_chatexports.page.people import Person, person_key
from langchain_chatexports.page.snapshot import Published
from langchain_chatexports.page.speakers import SpeakerLoader, Surroundings
from langchain_chatexports.page.talk_store import TalkSummary, write_talk
from langchain_chatexports.page.work import IDLE
from langchain_chatexports.personas.reply_limits import split_bubbles, typing_seconds
from langchain_chatexports.personas.talk import Talk as ModelTalk
from langchain_chatexports.personas.talk import Turn, correct_last
from langchain_chatexports.workflows.bases import download_base
from langchain_chatexports.workflows.saved_talks import (
    TalkFolder,
    model_talks,
    new_talk_id,
)
from langchain_chatexports.workflows.talk import Speaker, create_talks

_DOTS_SECONDS = 0.4
_SLOW_SECONDS, _VERY_SLOW_SECONDS = 8.0, 60.0
_BLANK_LINES = re.compile(r"\n\s*\n")
_NO_ANSWER = lazy_gettext("The model had no answer.")
_DOWNLOADING = lazy_gettext("Downloading the language model")


class Conversation:
    """The talks with a person, one of which is open."""

    def __init__(self, session: Surroundings, person: Person) -> None:
        self.published = Published(TalkState())
        self.person = person
        self.draft = ""
        self.unsent_corrections: dict[tuple[int, str], str] = {}
        """What was written in place of a reply, and not kept, by turn and reply."""

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
        self._speakers = SpeakerLoader(session)
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
            is_stopped=bool(self._turns and not replies(self._turns[-1])),
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
        if self._turns and not replies(self._turns[-1]):
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

    async def correct(self, turn_id: int, better: str) -> Failure | None:
        """Keep what the person would have said, or only "not that"; return a failure.

        The talk continues from it; "not that" of the last reply is answered again.
        """
        try:
            await self._load()
            if turn_id not in self._ids:
                raise PageError(lazy_gettext("This message was deleted."))
            if is_last := self._ids[-1] == turn_id:
                self._cancel()
            speaker = self._speakers.speaker or Speaker()
            corrections = speaker.voice.corrections if speaker.voice else None
            turns = self._turns[: self._ids.index(turn_id) + 1]
            model = speaker.model or speaker.base or ""
            await asyncio.to_thread(
                correct_last, corrections, turns, better, model=model
            )
        except (ChatExportError, OSError) as error:
            return translate_error(error)
        self._show()
        self._save()
        if is_last and not better.strip():
            self.answer_again()
        return None

    def answer_again(self) -> None:
        """Replace the last reply by another one."""
        if self._turns:
            turn = self._turns[-1]
            if self.state.version == "before":
                turn.base_answer = ""
            else:
                turn.answer, turn.received, turn.is_corrected = "", [], False
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

    @property
    def strength(self) -> float:
        """How much of the training the model uses, from 0 to 1."""
        model = self._current_model
        found = self._find_model(model.name) if model else None
        return found.strength if found else 1.0

    def set_strength(self, strength: float) -> None:
        """Use this much of the training, from the next reply on."""
        if self._current_model is not None:
            self._start(self._set_strength(self._current_model, strength))

    async def _set_strength(self, model: Model, strength: float) -> None:
        change = self._session.workspace.models.set_strength
        try:
            await asyncio.to_thread(change, model.name, strength)
        except (ChatExportError, OSError) as error:
            self._show(failure=translate_error(error))
        self._session.poller.poke()

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
        return "\n".join(export_lines(self.state.messages, self.person.name))

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
        self._speakers.decide_base(choice.base.id)
        self._show(offer=None, download=IDLE)
        if self._turns and not replies(self._turns[-1]):
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
        if self._is_opened and not self._speakers.is_current(
            person, self._current_model
        ):
            self._start(self._look())

    def close(self) -> None:
        """Stop the model and close the memory, at the end of the program."""
        self._speakers.close()

    # Answers

    async def _answer(self, version: Version) -> None:
        turn = self._turns[-1]
        failure: Failure | None = None
        try:
            async with self._session.answering:
                voices = await self._wake()
                if voices is None:
                    return  # A language model is offered.
                self._show(phase="reading")
                voice = voices[0] if version == "before" else voices[-1]
                voice.turns = [*self._history(version), Turn(turn.line)]
                await self._read_reply(voice, turn, version)
            if not reply_of(turn, version):
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
        if reply_of(turn, version):
            # A model that is slower than the person waits for nothing.
            await asyncio.sleep(since + typing_seconds(bubble) - time.monotonic())
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
        speaker, settings = self._speakers.speaker, self._speakers.settings
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
        if loaded := await self._speakers.load(self.person, self._current_model):
            waking = self._session.waking_seconds.get(str(self._speakers.base_id))
            self._show(
                openings=loaded.openings, offer=loaded.offer, waking_seconds=waking
            )
        return self.state.offer is None

    @property
    def _current_model(self) -> Model | None:
        return self._model or self.person.model

    def _history(self, version: Version) -> list[Turn]:
        turns = []
        for turn in self._turns[:-1]:
            other: Version = "before" if version == "after" else "after"
            answer = reply_of(turn, version) or reply_of(turn, other)
            turns.append(Turn(turn.line, answer))
        return turns

    # State

    def _begin(self) -> None:
        usual = usual_seconds(self._turns)
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
        turns = zip(self._ids, self._turns, strict=True)
        messages = to_messages(turns, state.version, is_reading=state.phase == "typing")
        self.published.publish(replace(state, messages=tuple(messages)))

    def _shown_reply(self, turn: Turn) -> str:
        return reply_of(turn, self.state.version)

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
                write_talk,
                self._folder(),
                self.state.talk_id,
                turns,
                person=self.person.name,
                draft=draft,
            )
            self._show(keep_failure=failure)
        self._session.poller.poke()
